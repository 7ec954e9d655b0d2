"""What is stored of a tag, taken up again: the places its rows had, and the tag without a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from smspartner_schemas.arrow import empty_table
from smspartner_schemas.contract import QUARANTINE, STATUSES

from smspartner.erasure import Person
from smspartner.errors import CountMismatch
from smspartner_pipelines.load.destination import LoadedTag, StoredTag
from smspartner.snapshot import Snapshot

Places = npt.NDArray[np.int64]


def places_of(stored: StoredTag) -> tuple[Places, Places]:
    """Give the places that the loaded and the quarantined rows had in their population, from 0, in API order.

    A quarantined row tells its page and position; the loaded rows have, in order, the places that nobody else has.
    Where the size of pages is not known, quarantined rows count as the last ones.

    Raises:
        CountMismatch: the rows do not add up to those received; the tag was changed by somebody else.
    """
    state = stored.state
    everything = np.arange(state.rows_received)
    page, position = (np.asarray(stored.quarantine[name], dtype=np.int64) for name in ("page", "position"))
    doubted = (page - 1) * state.page_rows + position - 1
    if not state.page_rows:
        doubted = everything[len(everything) - len(doubted) :]
    loaded = np.setdiff1d(everything, [*doubted, *state.erased_places])
    if len(loaded) != stored.rows.num_rows:
        raise CountMismatch(
            f"tag {state.tag}: {stored.rows.num_rows} rows loaded, {len(doubted)} in quarantine and "
            f"{len(state.erased_places)} erased do not add up to {state.rows_received} received; read the tag again"
        )
    return loaded, doubted


def facts_of(state: LoadedTag, verdict: str, reason: str) -> Snapshot:
    """Give a snapshot with the facts of a tag that is loaded, and no rows yet."""
    return Snapshot(
        *(state.tag, verdict, reason, empty_table(STATUSES), empty_table(QUARANTINE)),
        extracted_at=state.extracted_at,
        rows_declared=state.rows_received,
        rows_received=state.rows_received,
        phone_numbers=state.phone_numbers,
        page_rows=state.page_rows,
        erased_places=state.erased_places,
    )


def without(stored: StoredTag, person: Person) -> Snapshot | None:
    """Give the tag without a person's rows, loaded and quarantined; None where there are none.

    Raises:
        CountMismatch: as `places_of`.
    """
    theirs = np.asarray(pc.is_in(stored.rows["phone_number"], pa.array(person.spellings)), dtype=bool)
    named = np.array([person.is_named_in(raw) for raw in stored.quarantine["raw"].to_pylist()], dtype=bool)
    if not theirs.any() and not named.any():
        return None
    loaded, doubted = places_of(stored)
    erased = {*stored.state.erased_places, *loaded[theirs].tolist(), *doubted[named].tolist()}
    return replace(
        facts_of(stored.state, "complete", ""),
        table=stored.rows.filter(pa.array(~theirs)),
        quarantine=stored.quarantine.filter(pa.array(~named)),
        erased_places=tuple(sorted(erased)),
    )


def tags_without(
    states: Iterable[LoadedTag], stored_tag: Callable[[LoadedTag], StoredTag], person: Person, removed: Counter[str]
) -> Iterator[tuple[Snapshot, LoadedTag]]:
    """Give each of these tags that holds a person, without them, and the state it had; count in `removed` what goes.

    Raises:
        CountMismatch: as `places_of`.
    """
    for state in states:
        stored = stored_tag(state)
        kept = without(stored, person)
        if kept is not None:
            rows = stored.rows.num_rows - kept.table.num_rows
            removed.update(tags=1, rows=rows, quarantined=stored.quarantine.num_rows - kept.quarantine.num_rows)
            yield kept, state
