"""Two files that belong together are replaced together: once that has begun, it is finished, whatever dies when.

All new content is written beside first; then a note of what is to be moved and removed makes it certain; then the moves
are made. Who enters next finishes the moves of a note that a dead process left. Without the note nothing has begun.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from smspartner.load.atomic import guarded, remove_file, replace_file, sync_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from smspartner.load.atomic import StagedFile
    from smspartner.load.destinations import WrittenFile

_NOTE = ".note.json"


def replace_together(
    folder: Path, name: str, contents: Mapping[str, Callable[[StagedFile], object] | None], *, staging: Path
) -> list[WrittenFile]:
    """Put contents into files called `name`, one in each of the subfolders of `folder` they are keyed by.

    None removes the file there. The moves are made in the order given.

    Raises:
        DestinationError: nothing has begun; or it has, and is finished by `finish_replacements`.
    """
    written = []
    for subfolder, write in contents.items():
        if write is not None:
            file = replace_file(_ready(staging, name, subfolder), write, staging=staging)
            written.append(replace(file, path=str(folder / subfolder / name)))
    note = json.dumps({subfolder: write is not None for subfolder, write in contents.items()})
    replace_file(staging / f"{name}{_NOTE}", note.encode(), staging=staging)
    _finish(folder, staging / f"{name}{_NOTE}")
    return written


def finish_replacements(folder: Path, *, staging: Path) -> None:
    """Finish what a dead process had begun.

    Raises:
        DestinationError: it can't be finished.
    """
    for note in guarded(f"reading {staging}", lambda: sorted(staging.glob(f"*{_NOTE}"))):
        _finish(folder, note)


def _finish(folder: Path, note: Path) -> None:
    name = note.name.removesuffix(_NOTE)
    moves = json.loads(guarded(f"reading {note}", note.read_bytes))
    for subfolder, is_moved in moves.items():
        target = folder / subfolder / name
        if is_moved:
            guarded(f"writing {target}", lambda: _move(_ready(note.parent, name, subfolder), target))  # noqa: B023
        else:
            remove_file(target)
    remove_file(note)


def _ready(staging: Path, name: str, subfolder: str) -> Path:
    return staging / f"{name}.{subfolder}.ready"


def _move(ready: Path, target: Path) -> None:
    """Move a file into place, durably; that it is gone means that it was moved before."""
    if ready.exists():
        ready.replace(target)
        sync_directory(target.parent)
