"""The folders of a dataset hold nothing else: a reader takes every file in them for rows of the dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smspartner.errors import DestinationError
from smspartner_pipelines.load.files import STAGING

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = ("statuses", "quarantine", "tag_runs", "runs", STAGING)
"""The folders of a dataset. `statuses` comes first: a directory that has it is one; `.staging` is made before it."""

NOT_FOREIGN = {".lock", STAGING, ".gitignore", ".gitkeep", ".DS_Store", "lost+found"}
"""What a directory may hold and still count as empty: our own first traces, and what systems put into new folders."""


def refuse_inside_dataset(path: Path, *, is_lake: bool = False) -> None:
    """Make sure that `path` is not one of the folders of a dataset, and does not lie in one.

    A Delta lake has the same folders; `path` may be one only where that is meant.

    Raises:
        DestinationError: it does, and a reader of that dataset would find rows twice.
    """
    place = path.resolve()
    if not is_lake and (place / FOLDERS[0] / "_delta_log").is_dir():
        raise DestinationError(f"{path} is a Delta lake; write delta:{path}")
    for folder in (place, *place.parents):
        if folder.name in FOLDERS and (folder.parent / FOLDERS[-1]).is_dir():
            raise DestinationError(f"{path} lies inside the dataset {folder.parent}; load into another place")
