"""New files of several Delta tables take their places together, or later: Delta Lake commits one table at a time.

A note in the staging folder names the new files before they are written, and a number. The commit to `statuses` tells
that number. A note whose number it tells is carried on, by whoever enters next: the other tables follow. Where it does
not, nothing has begun, and the files of the note are removed.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from smspartner_schemas.contract import LOADED_TAGS, QUARANTINE, STATUSES, TAG_RUNS

from smspartner.errors import DestinationError
from smspartner_pipelines.load.atomic import guarded, remove_file, replace_file
from smspartner_pipelines.load.delta_files import DataFile
from smspartner_pipelines.load.delta_table import LakeTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from smspartner_pipelines.load.destination import WrittenFile

_WRITERS = 4
"""Files written at once. Most of the time goes into waiting for the disk, which syncs many together as soon as one."""

NewFiles = dict[str, list[tuple[DataFile, "pa.Table"]]]
"""The files to write with their rows, by table."""


@dataclass(frozen=True)
class Note:
    """What is under way: the number of the commit, the tags that are replaced, and the new files by table."""

    number: int
    tags: list[str]
    files: dict[str, list[DataFile]]


class LakeTables:
    """The Delta tables of a lake, whose folder is `root`."""

    def __init__(self, root: Path, staging: Path) -> None:
        self._root = root
        self._staging = staging
        self._note = staging / "tables.note.json"
        self._by_name = {
            table.name: LakeTable(root / table.name, table) for table in (STATUSES, QUARANTINE, LOADED_TAGS, TAG_RUNS)
        }

    def __getitem__(self, name: str) -> LakeTable:
        return self._by_name[name]

    def __iter__(self) -> Iterator[LakeTable]:
        return iter(self._by_name.values())

    def replace(self, new: NewFiles, tags: Sequence[str]) -> Mapping[DataFile, WrittenFile]:
        """Put new files in the places of all files of `tags`; those of `loaded_tags` replace the whole table.

        Raises:
            DestinationError: nothing has begun; or it has, and `settle` finishes it.
        """
        number = 1 + max(table.number for table in self)
        note, written = self._write(Note(number, list(tags), _named(new)), new)
        self._by_name[STATUSES.name].exchange(note.files[STATUSES.name], set(tags), number)
        self._carry_on(note)
        return written

    def put(self, name: str, file: DataFile, rows: pa.Table, *, merged: bool = False) -> WrittenFile:
        """Add one file to a table; `merged` rows are those of all its files, whose place it takes.

        Raises:
            DestinationError: it can't be added.
        """
        note, written = self._write(Note(0, [], {name: [file]}), {name: [(file, rows)]})
        self._by_name[name].exchange(note.files[name], None if merged else (), data_change=not merged)
        remove_file(self._note)
        return written[file]

    def settle(self) -> None:
        """Finish, or clear away, what a dead process had begun.

        Raises:
            DestinationError: it can't be.
        """
        note = self._read_note()
        if note is None:
            return
        for table in self:
            table.refresh()
        if note.number and self._by_name[STATUSES.name].number == note.number:
            self._carry_on(note)
            return
        for name, files in note.files.items():
            for file in files:
                self._by_name[name].remove(file)
        remove_file(self._note)

    def _write(self, note: Note, new: NewFiles) -> tuple[Note, dict[DataFile, WrittenFile]]:
        """Note what is about to be written, and write it."""
        replace_file(self._note, json.dumps(asdict(note)).encode(), staging=self._staging)
        tasks = [(self._by_name[name], file, rows) for name, files in new.items() for file, rows in files]
        with ThreadPoolExecutor(_WRITERS) as threads:
            try:
                written = list(threads.map(lambda task: task[0].write(*task[1:]), tasks))
            finally:
                threads.shutdown(cancel_futures=True)
        for name in new:
            self._by_name[name].sync_folder()
        return note, {file: one for (_, file, _), one in zip(tasks, written, strict=True)}

    def _carry_on(self, note: Note) -> None:
        """Let the other tables follow `statuses`: the states come last, and tell the number, too."""
        self._by_name[QUARANTINE.name].exchange(note.files[QUARANTINE.name], set(note.tags))
        self._by_name[LOADED_TAGS.name].exchange(note.files[LOADED_TAGS.name], None, note.number)
        remove_file(self._note)

    def _read_note(self) -> Note | None:
        if not self._note.exists():
            return None
        content = guarded(f"reading {self._note}", self._note.read_bytes)
        try:
            facts = json.loads(content)
            files = {name: [DataFile(**file) for file in files] for name, files in facts["files"].items()}
            return Note(facts["number"], facts["tags"], files)
        except (LookupError, TypeError, ValueError, AttributeError):
            pass
        raise DestinationError(f"{self._note} is damaged; remove it, and run again with --refresh all")


def _named(new: NewFiles) -> dict[str, list[DataFile]]:
    return {name: [file for file, _ in files] for name, files in new.items()}
