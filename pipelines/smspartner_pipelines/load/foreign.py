"""What stands in the folders of a dataset that this product did not load, and what dead runs have left there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smspartner_schemas.contract import QUARANTINE, STATUSES

from smspartner_pipelines.load.dataset import OUR_NAME
from smspartner_pipelines.load.files import STAGING
from smspartner_pipelines.load.nesting import FOLDERS

if TYPE_CHECKING:
    from pathlib import Path

_BY_TAG = (STATUSES.name, QUARANTINE.name)


def files_that_are_not_ours(dataset: Path) -> list[str]:
    """List what a reader of the folders would read, and no run has written, by paths within the dataset.

    Readers pass over names that begin with `.` or `_`. Nothing is listed of what is no dataset, or can't be read.
    """
    found = []
    for folder in _BY_TAG:
        try:
            names = sorted(path.name for path in (dataset / folder).iterdir())
        except OSError:
            continue
        found += [f"{folder}/{name}" for name in names if name[0] not in "._" and not OUR_NAME.fullmatch(name)]
    is_dataset = all((dataset / folder).is_dir() for folder in FOLDERS)  # a lake names its files otherwise
    return found if is_dataset else []


def leftovers(dataset: Path) -> int:
    """Count the files that runs have staged and not put in place."""
    try:
        return sum(path.is_file() for path in (dataset / STAGING).iterdir())
    except OSError:
        return 0
