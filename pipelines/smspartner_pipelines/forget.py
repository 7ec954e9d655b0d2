"""A person is forgotten: their rows leave the destinations, and no later run brings them back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from smspartner.erasure import Person
from smspartner.errors import CountMismatch
from smspartner.snapshot import Snapshot
from smspartner_schemas.arrow import empty_table
from smspartner_schemas.contract import QUARANTINE, STATUSES

from smspartner_pipelines.load.destination import Damage, LoadedTag, loaded_tags
from smspartner_pipelines.output import counted
from smspartner_pipelines.reading import open_loaded

if TYPE_CHECKING:
    from smspartner.phone_numbers import PhonePrivacy
    from smspartner_schemas.contract import Table

    from smspartner_pipelines.load.destination import Destination

_BATCH_ROWS = 1_000_000
"""Rows of tags that hold the person, kept in memory at once."""


@dataclass
class Forgotten:
    """What was removed from one destination; `left` says, in sentences, where the person may still be."""

    uri: str
    rows: int = 0
    quarantined: int = 0
    tags: set[str] = field(default_factory=set)
    left: dict[str, None] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Give the counts as the record of the erasure keeps them."""
        return {"tags": len(self.tags), "rows": self.rows, "quarantined": self.quarantined}


def forget_person(number: str, uris: Sequence[str], privacy: PhonePrivacy) -> Iterator[Forgotten]:
    """Erase a person from destinations, one after the other.

    All are opened and locked first. In each the record that keeps the person out comes first: also after
    an interruption no run brings them back, and it is simply done again.

    Raises:
        SettingsError: the number is none, there is no phone key, or a destination keeps no tags or was never loaded.
        DestinationError: a destination can't be read or written; what was removed stays removed.
    """
    person = Person(number, privacy)
    with ExitStack() as stack:
        for destination in [stack.enter_context(_locked(uri)) for uri in uris]:
            yield _forget(destination, person, privacy)


@contextmanager
def _locked(uri: str) -> Iterator[Destination]:
    with open_loaded(uri) as destination:  # which says so where nothing was ever loaded
        pass
    with destination.open(for_loading=True):
        yield destination


def _forget(destination: Destination, person: Person, privacy: PhonePrivacy) -> Forgotten:
    forgotten = Forgotten(destination.uri)
    erasure = person.erasure(datetime.now(UTC))
    destination.record_erasure(erasure)
    states, damages = loaded_tags(destination)
    forgotten.left |= dict.fromkeys(map(_damaged, damages))
    removal = _Removal(destination, person, states, forgotten)
    while snapshots := removal.next_batch():
        for _files in destination.replace(snapshots):
            pass
        forgotten.tags |= {snapshot.tag for snapshot in snapshots}
    forgotten.left |= dict.fromkeys(_unreadable_numbers(states, privacy))
    destination.record_erasure(replace(erasure, removed=forgotten.counts))
    destination.purge()
    return forgotten


@dataclass(frozen=True)
class _Removal:
    """Finds the tags that hold a person, and makes their snapshots without them."""

    destination: Destination
    person: Person
    states: Mapping[str, LoadedTag]
    forgotten: Forgotten

    def next_batch(self) -> list[Snapshot]:
        """Give tags that hold the person, without them: all, or as many as fit into memory."""
        quarantine = self._quarantine_by_tag()
        named = {tag for tag, rows in quarantine.items() if pc.any(self._named_in(rows)).as_py()}
        snapshots: list[Snapshot] = []
        gathered = 0
        for piece in self._pieces(STATUSES):
            hit = piece["tag"].filter(self._theirs(piece)).unique().to_pylist()
            held = set(piece["tag"].unique().to_pylist()) & named
            for tag in sorted({*hit, *held}):
                rows = _of_tag(piece, tag)
                snapshots += self._without(tag, rows, quarantine.get(tag, empty_table(QUARANTINE)))
                gathered += rows.num_rows
                named.discard(tag)
            if gathered > _BATCH_ROWS and snapshots:
                return snapshots
        for tag in sorted(named):  # whose rows are all in quarantine
            snapshots += self._without(tag, empty_table(STATUSES), quarantine[tag])
        return snapshots

    def _pieces(self, table: Table) -> Iterator[pa.Table]:
        for piece in self.destination.scan(table, table.column_names):
            if isinstance(piece, Damage):
                self.forgotten.left[_damaged(piece)] = None
            else:
                yield piece

    def _quarantine_by_tag(self) -> dict[str, pa.Table]:
        by_tag: dict[str, list[pa.Table]] = {}
        for piece in self._pieces(QUARANTINE):
            for tag in piece["tag"].unique().to_pylist():
                by_tag.setdefault(tag, []).append(_of_tag(piece, tag))
        return {tag: pa.concat_tables(pieces) for tag, pieces in by_tag.items()}

    def _theirs(self, rows: pa.Table) -> pa.ChunkedArray:
        return pc.is_in(rows["phone_number"].cast(pa.string()), pa.array(self.person.spellings))

    def _named_in(self, quarantine: pa.Table) -> pa.Array:
        return pa.array(map(self.person.is_named_in, quarantine["raw"].to_pylist()), pa.bool_())

    def _without(self, tag: str, rows: pa.Table, quarantine: pa.Table) -> list[Snapshot]:
        """Give a tag's snapshot without the person; none where what is held of the tag does not fit together."""
        if tag in self.forgotten.tags:
            raise CountMismatch(f"tag {tag} still holds rows that were removed", remedy="report this bug")
        state = self.states.get(tag)
        if state is None or (rows.num_rows, quarantine.num_rows) != (state.rows_loaded, state.rows_quarantined):
            problem = f"tag {tag} is damaged and may still hold the person; run it again, then forget again"
            self.forgotten.left[problem] = None
            return []
        kept, kept_in_quarantine = (
            rows.filter(pc.invert(self._theirs(rows))),
            quarantine.filter(pc.invert(self._named_in(quarantine))),
        )
        removed = rows.num_rows - kept.num_rows, quarantine.num_rows - kept_in_quarantine.num_rows
        self.forgotten.rows += removed[0]
        self.forgotten.quarantined += removed[1]
        snapshot = Snapshot(
            tag=tag,
            verdict="complete",
            reason="",
            run_id=state.run_id,
            table=kept,
            quarantine=kept_in_quarantine,
            extracted_at=state.extracted_at,
            rows_declared=state.rows_received,
            rows_received=state.rows_received,
            rows_erased=state.rows_erased + sum(removed),
            phone_numbers=state.phone_numbers,
            first_page="",  # as it was, it may hold the person: the next run reads the tag, and writes it anew
        )
        return [snapshot]


def _of_tag(piece: pa.Table, tag: str) -> pa.Table:
    return piece.filter(pc.equal(piece["tag"].cast(pa.string()), tag))


def _damaged(damage: Damage) -> str:
    again = f"run its tag {damage.tag} again" if damage.tag else "delete it, and run its tags again"
    return f"{damage.place} is damaged ({damage.what}) and may still hold the person; {again}, then forget again"


def _unreadable_numbers(states: Mapping[str, LoadedTag], privacy: PhonePrivacy) -> Iterator[str]:
    """Name the tags of which nobody can say whether they hold the person, and what to do."""
    by_form: dict[str, list[str]] = {}
    for tag, state in sorted(states.items()):
        if state.rows_loaded or state.rows_quarantined:
            by_form.setdefault(state.phone_numbers, []).append(tag)
    for form, tags in by_form.items():
        kind, _, key_id = form.partition(":")
        if kind == "masked":
            yield (
                f"masked numbers name nobody for certain ({_some(tags)}); run these tags again with --refresh all, "
                "which leaves the person out"
            )
        elif kind == "hashed" and key_id not in privacy.hashes:
            yield (
                f"numbers are hashed under phone key {key_id}, which is not given ({_some(tags)}); add it to "
                "SMSPARTNER_RETIRED_PHONE_KEYS, then forget again"
            )


def _some(tags: Sequence[str]) -> str:
    return counted(len(tags), "tag") if len(tags) > 5 else ", ".join(tags)  # noqa: PLR2004  # as many as fit a line
