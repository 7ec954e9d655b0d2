"""The Parquet dataset: one file per tag, replaced as a whole; the footers of its files are its state."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

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
from smspartner_pipelines.load.layout import DAMAGED, ENDING, STAGING, facts_of, file_name, state_in
from smspartner_pipelines.load.parquet import parquet_bytes, read_rows
from smspartner_pipelines.load.side_by_side import in_order, in_pieces

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from smspartner.erasure import Erasure
    from smspartner.snapshot import Snapshot
    from smspartner_schemas.contract import Table

    from smspartner_pipelines.load.destination import WrittenFile
    from smspartner_pipelines.load.folder import LocalFiles
    from smspartner_pipelines.load.object_files import ObjectFiles

_TAGS_AT_ONCE = 64
_BYTES_AT_ONCE = 32 * 1024 * 1024
"""Rows in memory whose files are written together."""

_FOOTERS_AT_ONCE = 256
_BY_TAG = {STATUSES, QUARANTINE, LOADED_TAGS}
_COUNTED_AS = {STATUSES: "rows_loaded", QUARANTINE: "rows_quarantined"}
_SHOWN_OF_HASH = 16

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
        together: list[Snapshot] = []
        size = 0
        for snapshot in snapshots:
            together.append(snapshot)
            size += snapshot.table.nbytes
            if len(together) == _TAGS_AT_ONCE or size > _BYTES_AT_ONCE:
                yield from self._replace_together(together)
                together, size = [], 0
        yield from self._replace_together(together)

    def _replace_together(self, snapshots: Sequence[Snapshot]) -> list[list[WrittenFile]]:
        names, rows, staged = [], {}, {}
        for snapshot in snapshots:
            name = file_name(snapshot.tag)
            facts = facts_of(state_of(snapshot))
            names.append(name)
            rows[_path(STATUSES, name)] = parquet_bytes(snapshot.table, STATUSES, facts)
            if snapshot.quarantine.num_rows:
                staged[name] = parquet_bytes(snapshot.quarantine, QUARANTINE, facts)
        self._files.check_lock()
        second = self._files.write({_staged(name): content for name, content in staged.items()})
        first = self._files.write(rows)
        self._follow(staged, self._quarantined.intersection(names))
        written = {name: [file] for name, file in zip(names, first, strict=True)}
        for name, file in zip(staged, second, strict=True):
            written[name].append(replace(file, path=self._files.place(_path(QUARANTINE, name))))
        return list(written.values())

    def _follow(self, staged: Iterable[str], old: Iterable[str]) -> None:
        """Put staged quarantines in place, and remove the old ones of tags that have none any more."""
        new = set(staged)
        self._files.move({_staged(name): _path(QUARANTINE, name) for name in new})
        self._files.remove([_path(QUARANTINE, name) for name in set(old) - new])
        self._quarantined = self._quarantined - set(old) | new

    def _finish_what_died(self) -> None:
        """Finish what a dead run had decided, and clear away what it had not."""
        self._quarantined = set(self._files.names(QUARANTINE.name))
        leftovers = self._files.names(STAGING)
        staged = {name for name in leftovers if name.endswith(ENDING)}
        found = self._states(STATUSES.name, self._quarantined | staged)
        states = {name: state for name, state in found.items() if isinstance(state, LoadedTag)}
        ready = {name for name, state in self._states(STAGING, staged).items() if state == states.get(name)}
        stale = {name for name in self._quarantined if name in states and not states[name].rows_quarantined}
        self._follow(ready, stale - ready)
        self._files.remove([f"{STAGING}/{name}" for name in leftovers if name not in ready])

    def finish(self, tag_runs: pa.Table, run_id: str, *, complete: bool) -> list[WrittenFile]:  # noqa: ARG002
        """See `Destination.finish`: a file of this run."""
        self._files.check_lock()
        return self._files.write({_path(TAG_RUNS, f"{run_id}{ENDING}"): parquet_bytes(tag_runs, TAG_RUNS)})

    def save_report(self, report: bytes, run_id: str) -> None:
        """See `Destination.save_report`: `runs/RUN_ID.json`."""
        self._files.check_lock()
        self._files.write({f"{RUNS.name}/{run_id}.json": report})

    def record_erasure(self, erasure: Erasure) -> None:
        """See `Destination.record_erasure`: a file of each."""
        self._files.check_lock()
        name = f"{erasure.key_id}-{erasure.number_hash[:_SHOWN_OF_HASH]}{ENDING}"
        self._files.write({_path(ERASURES, name): parquet_bytes(erasures_table([erasure]), ERASURES)})

    def purge(self) -> None:
        """See `Destination.purge`: a replaced file is gone."""

    def scan(self, table: Table, columns: Sequence[str]) -> Iterator[pa.Table | Damage]:
        """See `Destination.scan`."""
        damages: list[Damage] = []
        if table is LOADED_TAGS:
            yield loaded_tags_table(self._loaded_tags(damages)).select(columns)
        else:
            names = [name for name in self._files.names(table.name) if name[0] not in "._"]
            parts = in_order(lambda name: self._rows(table, name, columns), names, at_once=self._files.at_once)
            yield from in_pieces(parts, damages)
        yield from self._with_tags(damages) if table in _BY_TAG else damages

    def _loaded_tags(self, damages: list[Damage]) -> list[LoadedTag]:
        """Give the tags whose rows and quarantine fit together."""
        names = [name for name in self._files.names(STATUSES.name) if name[0] not in "._"]
        held = set(self._files.names(QUARANTINE.name))
        quarantined = self._states(QUARANTINE.name, held)
        loaded = []
        for name, state in self._states(STATUSES.name, names).items():
            place = self._files.place(_path(STATUSES, name))
            if isinstance(state, str):
                damages.append(Damage(place, state))
            elif _fits(state, quarantined.get(name)) or self._fits_now(name):
                loaded.append(state)
            else:
                damages.append(Damage(place, _APART, state.tag))
        for name in sorted(held.difference(names)):
            tag = getattr(quarantined.get(name), "tag", None)
            damages.append(Damage(self._files.place(_path(QUARANTINE, name)), _ROWS_GONE, tag))
        return loaded

    def _fits_now(self, name: str) -> bool:
        """Look again: a run may have replaced the tag between the first look at the one file and at the other."""
        found = [self._states(table.name, [name]).get(name) for table in (QUARANTINE, STATUSES)]
        return isinstance(found[1], LoadedTag) and _fits(found[1], found[0])

    def _states(self, folder: str, names: Iterable[str]) -> dict[str, LoadedTag | str]:
        """Give what the footers of files say, or what is wrong with them; those that are gone are left out."""

        def read(some: Sequence[str]) -> list[tuple[str, LoadedTag | str | None]]:
            return [(name, self._state(folder, name)) for name in some]

        wanted = list(names)
        size = max(1, min(_FOOTERS_AT_ONCE, len(wanted) // self._files.at_once))
        chunks = [wanted[start : start + size] for start in range(0, len(wanted), size)]
        found = in_order(read, chunks, at_once=self._files.at_once)
        return {name: state for some in found for name, state in some if state is not None}

    def _state(self, folder: str, name: str) -> LoadedTag | str | None:
        try:
            end = self._files.tail(f"{folder}/{name}")
        except OSError as error:
            return f"can't be read ({error.strerror})"
        return None if end is None else state_in(end, name)

    def _rows(self, table: Table, name: str, columns: Sequence[str]) -> pa.Table | Damage | None:
        """Read a file of a table; None where it is gone."""
        place = self._files.place(_path(table, name))
        try:
            content = self._files.read(_path(table, name))
        except OSError as error:
            return Damage(place, f"can't be read ({error.strerror})")
        if content is None:
            return None
        if table is STATUSES or table is QUARANTINE:
            state = state_in(content, name)
            if isinstance(state, str):
                return Damage(place, state)
            rows = read_rows(content, table, columns)
            whole = rows is not None and rows.num_rows == getattr(state, _COUNTED_AS[table])
            return rows if whole else Damage(place, DAMAGED, state.tag)
        rows = _report(content, name, columns) if table is RUNS else read_rows(content, table, columns)
        return Damage(place, DAMAGED) if rows is None else rows

    def _with_tags(self, damages: Sequence[Damage]) -> Iterator[Damage]:
        """Name the tags of damaged files by the tags of earlier runs: a file's name holds a hash of its tag."""
        tags: set[str] = set()
        if any(damage.tag is None for damage in damages):
            for part in self.scan(TAG_RUNS, ["tag"]):
                if isinstance(part, pa.Table):
                    tags.update(part["tag"].unique().to_pylist())
        places = {self._files.place(_path(table, file_name(tag))): tag for tag in tags for table in _COUNTED_AS}
        for damage in damages:
            yield replace(damage, tag=damage.tag or places.get(damage.place))


def _fits(state: LoadedTag, quarantine: LoadedTag | str | None) -> bool:
    return quarantine == (state if state.rows_quarantined else None)


def _report(content: bytes, name: str, columns: Sequence[str]) -> pa.Table | None:
    if not content.rstrip().endswith(b"}"):
        return None
    values = {"run_id": [name.removesuffix(".json")], "report": [content.decode("utf-8", "replace")]}
    return pa.table(values, schema=arrow_schema(RUNS)).select(columns)


def _path(table: Table, name: str) -> str:
    return f"{table.name}/{name}"


def _staged(name: str) -> str:
    """Name the new quarantine of a tag before its rows are in place."""
    return f"{STAGING}/{name}"
