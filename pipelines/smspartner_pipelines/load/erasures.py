"""The records of erasures beside a dataset: one small JSON file each, which names nobody."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from smspartner.erasure import Erasure
from smspartner.errors import DestinationError

if TYPE_CHECKING:
    from smspartner_pipelines.load.files import FileStore

FOLDER = "erasures"
"""The folder of the records; it is made with the first."""

_SHOWN_OF_HASH = 16


def write_erasure(files: FileStore, erasure: Erasure) -> None:
    """Keep the record, in the place of an earlier one of the same person under the same key.

    Raises:
        DestinationError: it can't be written.
    """
    files.make_folder(FOLDER)
    text = json.dumps(asdict(erasure), default=datetime.isoformat, indent=2)
    name = f"{erasure.key_id}-{erasure.number_hash[:_SHOWN_OF_HASH]}.json"
    files.replace(f"{FOLDER}/{name}", f"{text}\n".encode())


def read_erasures(files: FileStore) -> list[Erasure]:
    """Read all records; there are none where their folder does not exist.

    Raises:
        DestinationError: one can't be read. It is not passed over: its person would come back.
    """
    return [_read(files, f"{FOLDER}/{name}") for name in sorted(files.stamps(FOLDER)) if name.endswith(".json")]


def _read(files: FileStore, name: str) -> Erasure:
    content = files.read(name)
    try:
        facts = json.loads(content)
        return Erasure(**facts | {"erased_at": datetime.fromisoformat(facts["erased_at"])})
    except (LookupError, TypeError, ValueError):
        pass
    raise DestinationError(
        f"{files.place(name)} is damaged, or no record of an erasure; restore it from a backup, or record the erasure "
        "again with `smspartner forget` and then delete it"
    )
