"""A person is forgotten: their rows leave the destinations, and no later run brings them back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from smspartner.privacy import Erasure, Person
from smspartner.snapshot import Snapshot
from smspartner_schemas.arrow import empty_table
from smspartner_schemas.contract import QUARANTINE, STATUSES, Table

from smspartner_pipelines.load.destination import Damage, Destination, LoadedTag, loaded_tags
from smspartner_pipelines.load.uris import check_each_once
from smspartner_pipelines.output import counted
from smspartner_pipelines.reading import open_loaded, rows_in

if TYPE_CHECKING:
    from smspartner.privacy import PhonePrivacy

_BATCH_ROWS = 1_000_000
"""Rows of tags that hold the person, kept in memory at once."""


@dataclass
class Forgotten:
    """What was removed from one destination; `left` says, in sentences, where the person may still be."""

    uri: str
    tags: int = 0
    rows: int = 0
    quarantined: int = 0
    left: list[str] = field(default_factory=list)


def forget_person(number: str, uris: Sequence[str], privacy: PhonePrivacy) -> Iterator[Forgotten]:
    """Erase a person from destinations, one after the other.

    All are checked, opened and locked first. In each the record that keeps the person out comes first: also after
    an interruption no run brings them back, and it is simply done again.

    Raises:
        SettingsError: the number is none, there is no phone key, or a destination is named twice, keeps no tags, was
            never loaded or can't be written.
        DestinationError: a destination can't be read or written; what was removed stays removed.
    """
    person = Person(number, privacy)
    check_each_once(uris)
    with ExitStack() as stack:
        for destination in [stack.enter_context(_locked(uri)) for uri in uris]:
            yield _forget(destination, person, privacy)


@contextmanager
def _locked(uri: str) -> Iterator[Destination]:
    with open_loaded(uri) as destination:  # which says so where nothing was ever loaded
        pass
    destination.check()
    with destination.open(for_loading=True):
        yield destination


def _forget(destination: Destination, person: Person, privacy: PhonePrivacy) -> Forgotten:
    erasure = person.erasure(datetime.now(UTC))
    destination.record_erasure(erasure)
    forgotten = Forgotten(destination.uri)
    states, damages = loaded_tags(destination)
    for tags in _batches(_tags_that_hold(destination, person, damages), states):
        held = {table.name: _rows_of(destination, table, tags, damages) for table in (STATUSES, QUARANTINE)}
        snapshots = []
        for tag in tags:
            rows, quarantine = (_of_tags(held[table.name], [tag]) for table in (STATUSES, QUARANTINE))
            snapshot = _without(person, rows, quarantine, states.get(tag))
            if snapshot is None:
                forgotten.left.append(f"tag {tag} is damaged and may still hold the person; run it again, {_THEN}")
                continue
            snapshots.append(snapshot)
            forgotten.tags += 1
            forgotten.rows += rows.num_rows - snapshot.table.num_rows
            forgotten.quarantined += quarantine.num_rows - snapshot.quarantine.num_rows
        for _files in destination.replace(snapshots) if snapshots else ():
            pass
    forgotten.left += [*dict.fromkeys(map(_damaged, damages)), *_unreadable_numbers(states, privacy)]
    removed = (forgotten.tags, forgotten.rows, forgotten.quarantined)
    destination.record_erasure(Erasure(erasure.key_id, erasure.number_hash, erasure.erased_at, *removed))
    destination.purge()
    return forgotten


def _tags_that_hold(destination: Destination, person: Person, damages: list[Damage]) -> list[str]:
    found: set[str] = set()
    for rows in rows_in(destination, STATUSES, ("tag", "phone_number"), damages):
        found.update(rows["tag"].filter(_theirs(person, rows)).unique().to_pylist())
    for rows in rows_in(destination, QUARANTINE, ("tag", "raw"), damages):
        found.update(rows["tag"].filter(_naming(person, rows)).unique().to_pylist())
    return sorted(found)


def _theirs(person: Person, rows: pa.Table) -> pa.ChunkedArray:
    return pc.is_in(rows["phone_number"].cast(pa.string()), pa.array(person.spellings))


def _naming(person: Person, quarantine: pa.Table) -> pa.Array:
    return pa.array(map(person.is_named_in, quarantine["raw"].to_pylist()), pa.bool_())


def _batches(tags: Sequence[str], states: Mapping[str, LoadedTag]) -> Iterator[list[str]]:
    """Give tags in groups whose rows fit into memory."""
    batch: list[str] = []
    rows = 0
    for tag in tags:
        held = states[tag].rows_loaded if tag in states else 0
        if batch and rows + held > _BATCH_ROWS:
            yield batch
            batch, rows = [], 0
        batch.append(tag)
        rows += held
    if batch:
        yield batch


def _rows_of(destination: Destination, table: Table, tags: Sequence[str], damages: list[Damage]) -> pa.Table:
    pieces = [_of_tags(rows, tags) for rows in rows_in(destination, table, table.column_names, damages)]
    return pa.concat_tables([empty_table(table), *pieces])


def _of_tags(rows: pa.Table, tags: Sequence[str]) -> pa.Table:
    return rows.filter(pc.is_in(rows["tag"].cast(pa.string()), pa.array(tags, pa.string())))


def _without(person: Person, rows: pa.Table, quarantine: pa.Table, state: LoadedTag | None) -> Snapshot | None:
    """Give a tag's snapshot without the person; None where what is held of the tag does not fit together."""
    if state is None or (rows.num_rows, quarantine.num_rows) != (state.rows_loaded, state.rows_quarantined):
        return None
    kept = rows.filter(pc.invert(_theirs(person, rows)))
    kept_in_quarantine = quarantine.filter(pc.invert(_naming(person, quarantine)))
    removed = rows.num_rows + quarantine.num_rows - kept.num_rows - kept_in_quarantine.num_rows
    return Snapshot(
        tag=state.tag,
        verdict="complete",
        reason="",
        run_id=state.run_id,
        table=kept,
        quarantine=kept_in_quarantine,
        extracted_at=state.extracted_at,
        rows_declared=state.rows_received,
        rows_received=state.rows_received,
        rows_erased=state.rows_erased + removed,
        phone_numbers=state.phone_numbers,
        first_page="",  # as it was, it may hold the person: the next run reads the tag, and writes it anew
    )


_THEN = "then forget again"


def _damaged(damage: Damage) -> str:
    again = f"run its tag {damage.tag} again" if damage.tag else "delete it, and run its tags again"
    return f"{damage.place} is damaged ({damage.what}) and may still hold the person; {again}, {_THEN}"


def _unreadable_numbers(states: Mapping[str, LoadedTag], privacy: PhonePrivacy) -> Iterator[str]:
    """Name the tags of which nobody can say whether they hold the person, and what to do."""
    by_form: dict[str, list[str]] = {}
    for tag, state in sorted(states.items()):
        if state.rows_loaded or state.rows_quarantined:
            by_form.setdefault(state.phone_numbers, []).append(tag)
    for form, tags in by_form.items():
        some = counted(len(tags), "tag") if len(tags) > 5 else ", ".join(tags)  # noqa: PLR2004  # as many as fit a line
        kind, _, key_id = form.partition(":")
        if kind == "masked":
            yield (
                f"masked numbers name nobody for certain ({some}); run these tags again with --refresh all, "
                "which leaves the person out"
            )
        elif kind == "hashed" and key_id not in privacy.keys:
            yield (
                f"numbers are hashed under phone key {key_id}, which is not given ({some}); add it to "
                f"SMSPARTNER_RETIRED_PHONE_KEYS, {_THEN}"
            )
