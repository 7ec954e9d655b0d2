"""The Parquet dataset: one file per tag, replaced as a whole; its footers are its state."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from itertools import tee
from operator import attrgetter
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.parquet as pq
from smspartner_schemas.arrow import arrow_schema, empty_table
from smspartner_schemas.contract import QUARANTINE, STATUSES, TAG_RUNS

from smspartner.errors import DestinationError
from smspartner_pipelines.load.atomic import guarded
from smspartner_pipelines.load.counting import READ_AT_ONCE, columns_needed, count_parts, read_columns
from smspartner_pipelines.load.destination import StoredTag
from smspartner_pipelines.load.erasures import read_erasures, write_erasure
from smspartner_pipelines.load.files import STAGING, TagFiles
from smspartner_pipelines.load.footer_index import MANY, FooterIndex
from smspartner_pipelines.load.footers import TagFile, footer_of, read_tag_files
from smspartner_pipelines.load.local_files import LocalFiles
from smspartner_pipelines.load.parquet_format import write_parquet
from smspartner_pipelines.load.side_by_side import in_order
from smspartner_pipelines.load.state import state_of
from smspartner_pipelines.load.together import finish_replacements
from smspartner.stored_rows import tags_without

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from smspartner_schemas.contract import Table

    from smspartner.erasure import Erasure, Person
    from smspartner_pipelines.load.destination import LoadedTag, WrittenFile
    from smspartner_pipelines.load.files import Content, FileStore
    from smspartner.snapshot import Snapshot

ENDING = ".parquet"
OUR_NAME = re.compile(r"([a-z0-9-]+-)?[0-9a-f]{16}\.parquet")


def file_name(tag: str) -> str:
    """Return the name of the file that holds `tag`: a readable slug, then a hash of the tag.

    It is lower-case ASCII letters, digits and `-`, whatever the tag, so that no tag leaves the folder and none is
    another one on a file system that is blind to case.
    """
    ascii_tag = unicodedata.normalize("NFKD", tag).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_tag).strip("-")[:40]
    digest = hashlib.sha256(tag.encode()).hexdigest()[:16]
    return f"{slug}-{digest}{ENDING}" if slug else f"{digest}{ENDING}"


class ParquetDataset:
    """A place with `statuses/` and `quarantine/` (one file per tag), `tag_runs/` and `runs/` (one file per run).

    A tag's rows and its quarantine are replaced together, and the footers of both say the same. Where they differ, a
    run died between the two, which whoever enters next finishes; or somebody else changed a file: then the tag is not
    consistent until it is loaded again.
    """

    keeps_tags = True

    def __init__(self, uri: str, files: FileStore | None = None) -> None:
        self.uri = uri
        self._files = files or LocalFiles(uri)
        self.batch_rows = self._files.batch_rows
        self._index = FooterIndex(self._files)
        self._held = ExitStack()

    def check(self) -> None:
        """Make sure that it can be written; creates the directory if there is none.

        Raises:
            DestinationError: it can't, or the place holds something else than a dataset.
        """
        self._files.check()

    def exists(self) -> bool:
        """Whether the place is a dataset."""
        return self._files.exists()

    def __enter__(self) -> Self:
        """Lock it, and clear away what dead runs left.

        Raises:
            DestinationBusy: another run holds it.
            DestinationError: it can't be written.
        """
        self._files.prepare()
        with ExitStack() as held:
            held.enter_context(self._files.locked(self.uri))
            self._clear_leftovers()
            held.callback(self._leave_nothing)
            self._held = held.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Release it; tags that are loaded stay."""
        self._held.close()

    def loaded_tags(self) -> Mapping[str, LoadedTag]:
        """Return what is loaded, by tag, from the footers alone; nothing if there is no dataset yet.

        Raises:
            DestinationError: a file can't be read, is damaged, is not of this product, or is of a newer version of it.
        """
        self._index.load()
        found = read_tag_files(self._files, STATUSES.name, self._tables(STATUSES), self._index)
        tags = [self._checked(file) for file in found]
        agreed = self._names_agreeing(tags)
        return {
            file.state.tag: file.state if file.name in agreed else replace(file.state, consistent=False)
            for file in tags
        }

    def replace_tags(self, snapshots: Sequence[Snapshot], run_id: str) -> Iterator[list[WrittenFile]]:
        """Put complete snapshots in the places of what is loaded for their tags; yield the files of each, in order.

        Raises:
            CountMismatch: the counts of one do not add up.
            DestinationError: one can't be written; the rows that were loaded stay.
        """
        states = [state_of(snapshot, run_id) for snapshot in snapshots]
        tags, noted = tee(map(self._files_of, snapshots, states))
        for state, written, tag in zip(states, self._files.replace_tags(tags), noted, strict=True):
            for name in (f"{folder}/{tag.name}" for folder in tag.contents):
                self._index.note(name, self._files.stamp(name), state)
            yield written
        with suppress(DestinationError):  # without it, the next run reads more footers
            self._index.save(if_more_than=MANY)

    def _files_of(self, snapshot: Snapshot, state: LoadedTag) -> TagFiles:
        """Say what the files of a tag will hold, once its counts add up."""
        snapshot.check_books()
        self._files.check_lock()
        name, footer = file_name(snapshot.tag), footer_of(state)
        rows = {STATUSES: snapshot.table, QUARANTINE: snapshot.quarantine}
        write = {table: partial(write_parquet, rows=rows[table], table=table, footer=footer) for table in rows}
        contents: dict[str, Content | None] = {STATUSES.name: write[STATUSES]}
        if snapshot.quarantine.num_rows:
            contents[QUARANTINE.name] = write[QUARANTINE]
        elif self._files.has(f"{QUARANTINE.name}/{name}"):
            contents[QUARANTINE.name] = None
        return TagFiles(name, contents)

    def stored_tag(self, state: LoadedTag) -> StoredTag:
        """Read the rows and the quarantine of a loaded tag.

        Raises:
            DestinationError: they can't be read.
        """
        name = file_name(state.tag)
        return StoredTag(state, self._read(STATUSES, name), self._read(QUARANTINE, name))

    def count_rows(self, table: Table, groupings: Sequence[Sequence[str]]) -> list[pa.Table]:
        """Count rows by columns, reading only these columns of the files.

        Raises:
            DestinationError: a file can't be read.
        """
        columns = columns_needed(table, groupings)

        def read(name: str) -> pa.Table:
            path = f"{table.name}/{name}"
            return read_columns(self._files.place(path), self._files.source(path), columns)

        return count_parts(in_order(read, self._tables(table), at_once=READ_AT_ONCE), table, groupings)

    def tag_runs(self) -> pa.Table:
        """Read `tag_runs`, which has a file for each run.

        Raises:
            DestinationError: a file can't be read.
        """
        parts = [self._read(TAG_RUNS, name) for name in self._tables(TAG_RUNS)]
        return pa.concat_tables([empty_table(TAG_RUNS), *parts])

    def erasures(self) -> list[Erasure]:
        """Read the records of the people whose rows must not be loaded.

        Raises:
            DestinationError: a record can't be read; without it, somebody would come back.
        """
        return read_erasures(self._files)

    def erase(self, person: Person, at: datetime) -> Erasure:
        """Record a person's erasure, then remove their rows tag by tag, each in one step for readers.

        A tag that is not consistent is left: it must be read again, and then the person is left out.

        Raises:
            DestinationError: something can't be read or written; repeat it then.
        """
        self._files.check_lock()
        erasure = person.erasure(at)
        write_erasure(self._files, erasure)
        removed = Counter({"tags": 0, "rows": 0, "quarantined": 0})
        consistent = filter(attrgetter("consistent"), self.loaded_tags().values())
        for kept, state in tags_without(consistent, self.stored_tag, person, removed):
            list(self.replace_tags([kept], state.run_id))
        done = replace(erasure, removed=dict(removed))
        write_erasure(self._files, done)
        return done

    def finish(self, tag_runs: pa.Table, run_id: str) -> list[WrittenFile]:
        """Add the rows of `tag_runs`, as a file of this run.

        Raises:
            DestinationError: it can't be written.
        """
        return [self._write(TAG_RUNS, f"{run_id}{ENDING}", tag_runs, {})]

    def save_report(self, report: bytes, run_id: str) -> None:
        """Keep the run report as `runs/RUN_ID.json`.

        Raises:
            DestinationError: it can't be written.
        """
        self._files.check_lock()
        self._files.replace(f"runs/{run_id}.json", report)

    def _leave_nothing(self) -> None:
        """Clear away what a write left that a second signal broke off, unless others are at work there by now."""
        with suppress(DestinationError):
            self._files.check_lock()
            self._clear_leftovers()
            self._index.save()

    def _clear_leftovers(self) -> None:
        finish_replacements(self._files)
        for leftover in self._files.stamps(STAGING):
            self._files.remove(f"{STAGING}/{leftover}")
        # A first load that died after its quarantine: its tag is not loaded, so nothing would ever replace the file.
        for name in set(self._tables(QUARANTINE)).difference(self._tables(STATUSES)):
            if OUR_NAME.fullmatch(name):
                self._files.remove(f"{QUARANTINE.name}/{name}")

    def _tables(self, table: Table) -> dict[str, str]:
        """List the files of a table with their stamps; readers of folders pass over the others, too."""
        found = self._files.stamps(table.name)
        return {name: found[name] for name in sorted(found) if name.endswith(ENDING) and name[0] not in "._"}

    def _checked(self, file: TagFile) -> TagFile:
        if file.name != file_name(file.state.tag):  # a copy would give its tag's rows twice
            place = self._files.place(f"{STATUSES.name}/{file.name}")
            raise DestinationError(f"{place} was renamed or copied after it was loaded; move it away and run again")
        return file

    def _names_agreeing(self, tags: list[TagFile]) -> set[str]:
        """Return the files whose quarantine agrees: it says the same, or there is none and should be none."""
        present = self._tables(QUARANTINE)
        expected = {file.name: file.state for file in tags if file.state.rows_quarantined}
        both = {name: stamp for name, stamp in present.items() if name in expected}
        quarantined = read_tag_files(self._files, QUARANTINE.name, both, self._index, skip_unreadable=True)
        agreeing = {file.name for file in quarantined if file.state == expected[file.name]}
        return agreeing | {file.name for file in tags}.difference(present, expected)

    def _read(self, table: Table, name: str) -> pa.Table:
        path = f"{table.name}/{name}"
        place = self._files.place(path)
        if table is QUARANTINE and not self._files.has(path):
            return empty_table(QUARANTINE)
        try:
            source = self._files.source(path)
            return guarded(f"reading {place}", lambda: pq.read_table(source, partitioning=None)).cast(
                arrow_schema(table)
            )
        except (pa.ArrowException, KeyError, ValueError):
            pass
        raise DestinationError(f"{place} is damaged, or no file of this product; move it away and run its tag again")

    def _write(self, table: Table, name: str, rows: pa.Table, footer: dict[str, str]) -> WrittenFile:
        self._files.check_lock()
        write = partial(write_parquet, rows=rows, table=table, footer=footer)
        return self._files.replace(f"{table.name}/{name}", write)
