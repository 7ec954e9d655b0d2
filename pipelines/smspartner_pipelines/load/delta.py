"""Delta Lake: tables `statuses`, `quarantine`, `tag_runs` and the state, where tags are replaced by commits."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.compute as pc
from smspartner_schemas.contract import LOADED_TAGS, QUARANTINE, STATUSES, TAG_RUNS

from smspartner.errors import DestinationError
from smspartner.grouping import gathered
from smspartner_pipelines.load.atomic import guarded, make_directory, remove_file, sync_directory, try_writing
from smspartner_pipelines.load.counting import READ_AT_ONCE, columns_needed, count_parts
from smspartner_pipelines.load.delta_compact import compact_lake
from smspartner_pipelines.load.delta_files import new_file
from smspartner_pipelines.load.delta_moves import LakeTables
from smspartner_pipelines.load.delta_tags import Change, is_held, planned
from smspartner_pipelines.load.destination import StoredTag
from smspartner_pipelines.load.erasures import read_erasures, write_erasure
from smspartner_pipelines.load.files import STAGING
from smspartner_pipelines.load.local_files import LocalFiles
from smspartner_pipelines.load.lock import HeldLock, exclusive
from smspartner_pipelines.load.nesting import NOT_FOREIGN, refuse_inside_dataset
from smspartner_pipelines.load.side_by_side import in_order
from smspartner_pipelines.load.state import state_of, states_of, states_table
from smspartner.stored_rows import tags_without

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from smspartner_schemas.contract import Table

    from smspartner.erasure import Erasure, Person
    from smspartner_pipelines.load.destination import LoadedTag, WrittenFile
    from smspartner.snapshot import Snapshot

_RUNS = "runs"
"""The folder of run reports, beside the tables."""


class DeltaLake:
    """A directory of Delta tables, with `runs/` (reports) and `erasures/` (records) beside them.

    `statuses` and `quarantine` are partitioned by tag and hold one file per tag, written by the run that the tag's
    state names. A tag of which this is not true was changed by somebody else, and is not consistent.
    """

    keeps_tags = True
    batch_rows = 250_000

    def __init__(self, path: str) -> None:
        self.uri = f"delta:{path}"
        self._path = Path(path)
        self._files = LocalFiles(path)
        self._staging = self._path / STAGING
        self._tables = LakeTables(self._path, self._staging)
        self._held = ExitStack()
        self._lock: HeldLock | None = None

    def check(self) -> None:
        """Make sure that it can be written; creates the directory if there is none.

        Raises:
            DestinationError: it can't, or the directory holds something else than a lake of this product.
        """
        self._make_directory()
        guarded(f"creating {self._staging}", lambda: self._staging.mkdir(exist_ok=True))
        try_writing(self._path / "statuses" / "check", staging=self._staging)
        for table in self._tables:
            table.refresh()
            for folder in (table.folder, table.folder / "_delta_log"):
                if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
                    raise DestinationError(
                        f"{folder} can't be written; allow this user to write there or load elsewhere"
                    )

    def exists(self) -> bool:
        """Whether the directory is a lake."""
        return (self._path / STATUSES.name / "_delta_log").is_dir()

    def __enter__(self) -> Self:
        """Lock it, make the tables that are missing, and finish or clear away what dead runs left.

        Raises:
            DestinationBusy: another run holds it.
            DestinationError: it can't be written.
        """
        self._make_directory()
        with ExitStack() as held:
            self._lock = held.enter_context(exclusive(self._path / ".lock", self.uri))
            guarded(f"preparing {self._path}", self._make_folders)
            for table in self._tables:
                table.log.drop_torn()
            self._clear_leftovers()
            for table in self._tables:
                table.prepare()
            held.callback(self._leave_nothing)
            self._held = held.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Release it; tags that are loaded stay."""
        self._held.close()

    def loaded_tags(self) -> Mapping[str, LoadedTag]:
        """Return what is loaded, by tag, from the table of states and the logs alone.

        Raises:
            DestinationError: it can't be read, is not of this product, or is of a newer version of it.
        """
        states = self._tables[LOADED_TAGS.name]
        for table in (states, self._tables[QUARANTINE.name], self._tables[STATUSES.name]):  # the last to be committed
            table.refresh()
        loaded, doubted = (self._tables[table.name].by_tag() for table in (STATUSES, QUARANTINE))
        return {
            tag: state if is_held(state, loaded, doubted) else replace(state, consistent=False)
            for tag, state in states_of(states.read(states.live())).items()
        }

    def replace_tags(self, snapshots: Sequence[Snapshot], run_id: str) -> Iterator[list[WrittenFile]]:
        """Replace all these tags by one commit, and yield the files of each.

        Raises:
            CountMismatch: the counts of one do not add up.
            DestinationError: they can't be written; the rows that were loaded stay.
        """
        for snapshot in snapshots:
            snapshot.check_books()
        yield from self._replace([(snapshot, state_of(snapshot, run_id)) for snapshot in snapshots])

    def stored_tag(self, state: LoadedTag) -> StoredTag:
        """Read the rows and the quarantine of a loaded tag.

        Raises:
            DestinationError: they can't be read.
        """
        rows, quarantine = (
            table.read(table.by_tag().get(state.tag, ()))
            for table in (self._tables[STATUSES.name], self._tables[QUARANTINE.name])
        )
        return StoredTag(state, rows, quarantine)

    def count_rows(self, table: Table, groupings: Sequence[Sequence[str]]) -> list[pa.Table]:
        """Count rows by columns, reading only these columns of the files.

        Raises:
            DestinationError: a file can't be read.
        """
        found = self._tables[table.name]
        found.refresh()
        columns = columns_needed(table, groupings)
        parts = in_order(lambda file: found.read([file], columns), found.live(), at_once=READ_AT_ONCE)
        return count_parts(parts, table, groupings)

    def tag_runs(self) -> pa.Table:
        """Read the table `tag_runs`.

        Raises:
            DestinationError: it can't be read.
        """
        runs = self._tables[TAG_RUNS.name]
        runs.refresh()
        return runs.read(runs.live())

    def erasures(self) -> list[Erasure]:
        """Read the records of the people whose rows must not be loaded.

        Raises:
            DestinationError: a record can't be read; without it, somebody would come back.
        """
        return read_erasures(self._files)

    def erase(self, person: Person, at: datetime) -> Erasure:
        """Record a person's erasure, remove their rows batch by batch, then every file of an old version.

        A tag that is not consistent is left: it must be read again, and then the person is left out.

        Raises:
            DestinationError: something can't be read or written; repeat it then.
        """
        self._check_lock()
        erasure = person.erasure(at)
        write_erasure(self._files, erasure)
        removed = Counter({"tags": 0, "rows": 0, "quarantined": 0})
        for changes in gathered(
            self._without(person, removed), lambda change: change[0].rows_received, self.batch_rows
        ):
            self._replace(changes)
        for table in (STATUSES, QUARANTINE):
            self._tables[table.name].remove_old_files()
        done = replace(erasure, removed=dict(removed))
        write_erasure(self._files, done)
        return done

    def finish(self, tag_runs: pa.Table, run_id: str) -> list[WrittenFile]:
        """Add the rows of `tag_runs`, as a file of this run.

        Raises:
            DestinationError: it can't be written.
        """
        self._check_lock()
        return [self._tables.put(TAG_RUNS.name, new_file(run_id, None, tag_runs.num_rows), tag_runs)]

    def save_report(self, report: bytes, run_id: str) -> None:
        """Keep the run report as `runs/RUN_ID.json`.

        Raises:
            DestinationError: it can't be written.
        """
        self._check_lock()
        self._files.replace(f"{_RUNS}/{run_id}.json", report)

    def compact(self, retain: timedelta) -> list[str]:
        """Merge small files, remove those of versions older than `retain`, and clean the logs; say what was done.

        Raises:
            DestinationError: something can't be read or written; nothing is lost then.
        """
        self._check_lock()
        return compact_lake(self._tables, retain)

    def _replace(self, changes: Sequence[Change]) -> list[list[WrittenFile]]:
        if not changes:
            return []
        self._check_lock()
        plans = [planned(*change) for change in changes]
        new = {name: [plan[name] for plan in plans if name in plan] for name in (STATUSES.name, QUARANTINE.name)}
        states = self._states_with([state for _, state in changes])
        new[LOADED_TAGS.name] = [(new_file(changes[0][1].run_id, None, states.num_rows), states)]
        written = self._tables.replace(new, [state.tag for _, state in changes])
        self._check_loaded(changes)
        return [[written[file] for file, _ in plan.values()] for plan in plans]

    def _states_with(self, changed: Sequence[LoadedTag]) -> pa.Table:
        """Give the states as they will be: few rows, which are written as one file each time."""
        table = self._tables[LOADED_TAGS.name]
        table.refresh()
        old = table.read(table.live())
        tags = pa.array([state.tag for state in changed], pa.string())
        stay = pc.invert(pc.is_in(old["tag"].cast(pa.string()), tags))
        return pa.concat_tables([old.filter(stay), states_table(changed)])

    def _check_loaded(self, changes: Sequence[Change]) -> None:
        """Make sure that the log holds what was to be loaded, and nothing else."""
        loaded, doubted = (self._tables[table.name].by_tag() for table in (STATUSES, QUARANTINE))
        for _, state in changes:
            if not is_held(state, loaded, doubted):
                raise DestinationError(
                    f"{self.uri}: another program changed the tag {state.tag} while it was loaded; run again once it "
                    "has ended"
                )

    def _without(self, person: Person, removed: Counter[str]) -> Iterator[Change]:
        """Give the tags that hold a person, without them, and count what is removed."""
        consistent = filter(attrgetter("consistent"), self.loaded_tags().values())
        for kept, state in tags_without(consistent, self.stored_tag, person, removed):
            yield kept, state_of(kept, state.run_id)

    def _make_directory(self) -> None:
        if "%" in str(self._path.absolute()):
            raise DestinationError(f"Delta Lake can't be written to {self._path}: its path holds a %; name another one")
        refuse_inside_dataset(self._path, is_lake=True)
        make_directory(self._path)
        names = set(guarded(f"reading {self._path}", lambda: [path.name for path in self._path.iterdir()]))
        statuses = self._path / STATUSES.name
        is_dataset = not self.exists() and statuses.is_dir() and any(statuses.iterdir())
        if is_dataset or (STATUSES.name not in names and names - NOT_FOREIGN):
            raise DestinationError(
                f"{self._path} holds other files and is no lake of this product; name a new or an empty directory"
            )

    def _make_folders(self) -> None:
        for name in (STATUSES.name, _RUNS, STAGING):
            (self._path / name).mkdir(exist_ok=True)
        sync_directory(self._path)

    def _check_lock(self) -> None:
        if self._lock:
            self._lock.check()

    def _leave_nothing(self) -> None:
        """Finish, or clear away, what was broken off, unless others are at work there by now."""
        with suppress(DestinationError):
            self._check_lock()
            self._clear_leftovers()

    def _clear_leftovers(self) -> None:
        self._tables.settle()
        for leftover in guarded(f"reading {self._staging}", lambda: list(self._staging.iterdir())):
            if leftover.is_file():
                remove_file(leftover)
