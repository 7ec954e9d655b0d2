"""The Parquet dataset: one file per tag, replaced as a whole; the footers of its files are its state."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import ERASURES, LOADED_TAGS, QUARANTINE, RUNS, STATUSES, TAG_RUNS

from smspartner_pipelines.load.destination import (
    Damage,
    LoadedTag,
    NothingLoaded,
    erasures_table,
    loaded_tags_table,
    state_of,
)
from smspartner_pipelines.load.folder import STAGING
from smspartner_pipelines.load.parquet import DAMAGED, ENDING, file_name, in_pieces, parquet_bytes, read_rows, state_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from smspartner.privacy import Erasure
    from smspartner.snapshot import Snapshot
    from smspartner_schemas.contract import Table

    from smspartner_pipelines.load.destination import WrittenFile
    from smspartner_pipelines.load.folder import LocalFiles
    from smspartner_pipelines.load.object_files import ObjectFiles

Given = TypeVar("Given")
Made = TypeVar("Made")

_TAGS_AT_ONCE = 64
"""Tags whose files are open together."""

_FOOTERS_AT_ONCE = 256
_BY_RUN = {TAG_RUNS, RUNS, ERASURES}
_COUNTED_AS = {STATUSES: "rows_loaded", QUARANTINE: "rows_quarantined"}

_APART = "does not fit the quarantine of its tag: a run died between the two, or a file was changed"
_ROWS_GONE = "is the quarantine of a tag whose rows are gone"


class Dataset:
    """`statuses/` and `quarantine/` (one file per tag), `tag_runs/` and `runs/` (one per run), `erasures/`.

    A tag's rows and its quarantine are replaced together, and the footers of both say the same. The new quarantine is
    staged first; then the rows are put in place, which decides; then the quarantine follows. What a run that died left
    in between, the next one finishes.
    """

    keeps_tags = True

    def __init__(self, files: LocalFiles | ObjectFiles, uri: str) -> None:
        self.uri = uri
        self.batch_rows = files.batch_rows
        self._files = files
        self._quarantined: set[str] = set()

    def check(self) -> None:
        """See `Destination.check`."""
        self._files.check()

    @contextmanager
    def open(self, *, for_loading: bool) -> Iterator[None]:
        """See `Destination.open`."""
        if for_loading:
            with self._files.locked():
                self._finish_what_died()
                yield
        elif self._files.exists():
            yield
        else:
            raise NothingLoaded(f"nothing was ever loaded into {self.uri}")

    def replace(self, snapshots: Sequence[Snapshot]) -> Iterator[list[WrittenFile]]:
        """See `Destination.replace`: some tags are written, synced and moved together."""
        for start in range(0, len(snapshots), _TAGS_AT_ONCE):
            yield from self._replace_together(snapshots[start : start + _TAGS_AT_ONCE])

    def _replace_together(self, snapshots: Sequence[Snapshot]) -> Iterator[list[WrittenFile]]:
        rows, staged = {}, {}
        for snapshot in snapshots:
            name, state = file_name(snapshot.tag), state_of(snapshot)
            rows[name] = parquet_bytes(snapshot.table, STATUSES, state)
            if snapshot.quarantine.num_rows:
                staged[name] = parquet_bytes(snapshot.quarantine, QUARANTINE, state)
        second = dict(zip(staged, self._write(STAGING, staged), strict=True))
        first = self._write(STATUSES.name, rows)
        self._follow(staged.keys(), self._quarantined & rows.keys())
        for name, file in zip(rows, first, strict=True):
            place = self._files.place(f"{QUARANTINE.name}/{name}")
            yield [file, replace(second[name], path=place)] if name in second else [file]

    def _follow(self, staged: AbstractSet[str], old: AbstractSet[str]) -> None:
        """Put staged quarantines in place, and remove the old ones of tags that have none any more."""
        self._files.move({f"{STAGING}/{name}": f"{QUARANTINE.name}/{name}" for name in staged})
        self._files.remove([f"{QUARANTINE.name}/{name}" for name in old - staged])
        self._quarantined = self._quarantined - old | staged

    def _finish_what_died(self) -> None:
        """Finish what a dead run had decided, and clear away what it had not."""
        self._quarantined = set(self._files.names(QUARANTINE.name))
        leftovers = self._files.names(STAGING)
        staged = {name for name in leftovers if name.endswith(ENDING)}
        states = self._states(STATUSES.name, self._quarantined | staged)
        ready = {name for name, state in self._states(STAGING, staged).items() if state == states.get(name)}
        stale = {name for name in self._quarantined if getattr(states.get(name), "rows_quarantined", None) == 0}
        self._follow(ready, stale)
        self._files.remove([f"{STAGING}/{name}" for name in leftovers if name not in ready])

    def _write(self, folder: str, contents: Mapping[str, bytes]) -> list[WrittenFile]:
        self._files.check_lock()
        return self._files.write({f"{folder}/{name}": content for name, content in contents.items()})

    def finish(self, tag_runs: pa.Table, run_id: str, *, complete: bool) -> list[WrittenFile]:  # noqa: ARG002
        """See `Destination.finish`: a file of this run."""
        return self._write(TAG_RUNS.name, {f"{run_id}{ENDING}": parquet_bytes(tag_runs, TAG_RUNS)})

    def save_report(self, report: bytes, run_id: str) -> None:
        """See `Destination.save_report`: `runs/RUN_ID.json`."""
        self._write(RUNS.name, {f"{run_id}.json": report})

    def record_erasure(self, erasure: Erasure) -> None:
        """See `Destination.record_erasure`: a file of each."""
        name = f"{erasure.key_id}-{erasure.number_hash[:16]}{ENDING}"
        self._write(ERASURES.name, {name: parquet_bytes(erasures_table([erasure]), ERASURES)})

    def purge(self) -> None:
        """See `Destination.purge`: a replaced file is gone."""

    def scan(self, table: Table, columns: Sequence[str]) -> Iterator[pa.Table | Damage]:
        """See `Destination.scan`."""
        damages: list[Damage] = []
        if table is LOADED_TAGS:
            yield loaded_tags_table(self._loaded_tags(damages)).select(columns)
        else:
            read = partial(self._rows, table, columns)
            yield from in_pieces(_in_order(read, self._seen(table), at_once=self._files.at_once), damages)
        yield from damages if table in _BY_RUN else self._with_tags(damages)

    def _seen(self, table: Table) -> list[str]:
        """List the files of a table that its readers find."""
        return [name for name in self._files.names(table.name) if name[0] not in "._"]

    def _loaded_tags(self, damages: list[Damage]) -> Iterator[LoadedTag]:
        """Give the tags whose rows and quarantine fit together."""
        names, held = self._seen(STATUSES), self._files.names(QUARANTINE.name)
        quarantined = self._states(QUARANTINE.name, held)
        for name, state in self._states(STATUSES.name, names).items():
            if isinstance(state, LoadedTag) and (_fits(state, quarantined.get(name)) or self._fits_now(name)):
                yield state
            else:
                tag, what = (None, state) if isinstance(state, str) else (state.tag, _APART)
                damages.append(Damage(self._files.place(f"{STATUSES.name}/{name}"), what, tag))
        for name in sorted(set(held).difference(names)):
            tag = getattr(quarantined.get(name), "tag", None)
            damages.append(Damage(self._files.place(f"{QUARANTINE.name}/{name}"), _ROWS_GONE, tag))

    def _fits_now(self, name: str) -> bool:
        """Look again: a run may have replaced the tag between the first look at the one file and at the other."""
        quarantine, state = (self._states(table.name, [name]).get(name) for table in (QUARANTINE, STATUSES))
        return isinstance(state, LoadedTag) and _fits(state, quarantine)

    def _states(self, folder: str, names: Iterable[str]) -> dict[str, LoadedTag | str]:
        """Give what the footers of files say, or what is wrong with them; those that are gone are left out."""

        def read(some: Sequence[str]) -> list[tuple[str, LoadedTag | str | None]]:
            return [(name, self._state(folder, name)) for name in some]

        wanted = list(names)
        size = max(1, min(_FOOTERS_AT_ONCE, len(wanted) // self._files.at_once))
        chunks = [wanted[start : start + size] for start in range(0, len(wanted), size)]
        found = _in_order(read, chunks, at_once=self._files.at_once)
        return {name: state for some in found for name, state in some if state is not None}

    def _state(self, folder: str, name: str) -> LoadedTag | str | None:
        end = _content(self._files.tail, f"{folder}/{name}")
        return state_in(end, name) if isinstance(end, bytes) else end

    def _rows(self, table: Table, columns: Sequence[str], name: str) -> pa.Table | Damage | None:
        """Read a file of a table; None where it is gone."""
        place = self._files.place(f"{table.name}/{name}")
        content = _content(self._files.read, f"{table.name}/{name}")
        if not isinstance(content, bytes):
            return Damage(place, content) if content else None
        if table is RUNS:
            return _report(content, name, columns) or Damage(place, DAMAGED)
        rows = read_rows(content, table, columns)
        if table not in _COUNTED_AS:
            return Damage(place, DAMAGED) if rows is None else rows
        state = state_in(content, name)
        if isinstance(state, str):
            return Damage(place, state)
        whole = rows is not None and rows.num_rows == getattr(state, _COUNTED_AS[table])
        return rows if whole else Damage(place, DAMAGED, state.tag)

    def _with_tags(self, damages: Sequence[Damage]) -> list[Damage]:
        """Name the tags of damaged files by the tags of earlier runs: a file's name holds a hash of its tag."""
        runs = self.scan(TAG_RUNS, ["tag"]) if any(damage.tag is None for damage in damages) else ()
        tags = {tag for part in runs if isinstance(part, pa.Table) for tag in part["tag"].unique().to_pylist()}
        places = {self._files.place(f"{table.name}/{file_name(tag)}"): tag for tag in tags for table in _COUNTED_AS}
        return [replace(damage, tag=damage.tag or places.get(damage.place)) for damage in damages]


def _fits(state: LoadedTag, quarantine: LoadedTag | str | None) -> bool:
    return quarantine == (state if state.rows_quarantined else None)


def _content(read: Callable[[str], bytes | None], path: str) -> bytes | str | None:
    """Give what `read` gives of a file, or say why it can't be read."""
    try:
        return read(path)
    except OSError as error:
        return f"can't be read ({error.strerror})"


def _report(content: bytes, name: str, columns: Sequence[str]) -> pa.Table | None:
    if not content.rstrip().endswith(b"}"):
        return None
    values = {"run_id": [name.removesuffix(".json")], "report": [content.decode("utf-8", "replace")]}
    return pa.table(values, schema=arrow_schema(RUNS)).select(columns)


def _in_order(act: Callable[[Given], Made], given: Iterable[Given], *, at_once: int) -> Iterator[Made]:
    """Yield `act` of each thing given, in order, up to `at_once` of them under way; the first that fails ends it."""
    with ThreadPoolExecutor(at_once, thread_name_prefix="load") as workers:
        futures = (workers.submit(act, one) for one in given)
        under_way = deque(islice(futures, at_once))
        while under_way:
            made = under_way.popleft().result()
            under_way.extend(islice(futures, 1))
            yield made
