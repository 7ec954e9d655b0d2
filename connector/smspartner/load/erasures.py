"""The records of erasures beside a dataset: one small JSON file each, which names nobody."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from smspartner.erasure import Erasure
from smspartner.errors import DestinationError
from smspartner.load.atomic import guarded, make_directory, replace_file

if TYPE_CHECKING:
    from pathlib import Path

_SHOWN_OF_HASH = 16


def write_erasure(folder: Path, erasure: Erasure, *, staging: Path) -> None:
    """Keep the record in `folder`, in the place of an earlier one of the same person under the same key.

    Raises:
        DestinationError: it can't be written.
    """
    make_directory(folder)
    text = json.dumps(asdict(erasure), default=datetime.isoformat, indent=2)
    name = f"{erasure.key_id}-{erasure.number_hash[:_SHOWN_OF_HASH]}.json"
    replace_file(folder / name, f"{text}\n".encode(), staging=staging)


def read_erasures(folder: Path) -> list[Erasure]:
    """Read all records in `folder`; there are none where it does not exist.

    Raises:
        DestinationError: one can't be read. It is not passed over: its person would come back.
    """
    paths = guarded(f"reading {folder}", lambda: sorted(folder.glob("*.json")))
    return [_read(path) for path in paths]


def _read(path: Path) -> Erasure:
    content = guarded(f"reading {path}", path.read_bytes)
    try:
        facts = json.loads(content)
        return Erasure(**facts | {"erased_at": datetime.fromisoformat(facts["erased_at"])})
    except (LookupError, TypeError, ValueError):
        pass
    raise DestinationError(
        f"{path} is damaged, or no record of an erasure; restore it from a backup, or record the erasure again with "
        "`smspartner forget` and then delete it"
    )
