"""Two files that belong together are replaced together: once that has begun, it is finished, whatever dies when.

All new content is written beside first; then a note of what is to be moved and removed makes it certain; then the moves
are made. Who enters next finishes the moves of a note that a dead process left. Without the note nothing has begun.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from smspartner_pipelines.load.files import STAGING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from smspartner_pipelines.load.destination import WrittenFile
    from smspartner_pipelines.load.files import Content, FileStore

_NOTE = ".note.json"


def replace_together(files: FileStore, name: str, contents: Mapping[str, Content | None]) -> list[WrittenFile]:
    """Put contents into files called `name`, one in each of the folders they are keyed by.

    None removes the file there. The moves are made in the order given; a single one needs no note.

    Raises:
        DestinationError: nothing has begun; or it has, and is finished by `finish_replacements`.
    """
    written = []
    if len(contents) == 1:
        return [files.replace(f"{folder}/{name}", content) for folder, content in contents.items() if content]
    for folder, write in contents.items():
        if write is not None:
            file = files.replace(_ready(name, folder), write)
            written.append(replace(file, path=files.place(f"{folder}/{name}")))
    moves = {folder: write is not None for folder, write in contents.items()}
    files.replace(f"{STAGING}/{name}{_NOTE}", json.dumps(moves).encode())
    _finish(files, name, moves)
    return written


def finish_replacements(files: FileStore) -> None:
    """Finish what a dead process had begun.

    Raises:
        DestinationError: it can't be finished.
    """
    for note in files.stamps(STAGING):
        if note.endswith(_NOTE):
            _finish(files, note.removesuffix(_NOTE), json.loads(files.read(f"{STAGING}/{note}")))


def _finish(files: FileStore, name: str, moves: Mapping[str, bool]) -> None:
    for folder, is_moved in moves.items():
        if is_moved:
            files.move(_ready(name, folder), f"{folder}/{name}")
        else:
            files.remove(f"{folder}/{name}")
    files.remove(f"{STAGING}/{name}{_NOTE}")


def _ready(name: str, folder: str) -> str:
    return f"{STAGING}/{name}.{folder}.ready"
