"""Quarantined rows read once more, by the code of today: what it can believe takes its place among the loaded rows.

The outcome is what reading the tag again would have given, as long as the API had still sent the same rows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from smspartner_pipelines.load.destination import StoredTag
from smspartner.page import Page
from smspartner.phone_numbers import PhonePrivacy
from smspartner.rows import read_rows
from smspartner.snapshot import Snapshot
from smspartner.stored_rows import facts_of, places_of
from smspartner.transform import occurrences, type_rows
from smspartner.typed_rows import RawRow, Stamp, TypedRows


def replay(stored: StoredTag, run_id: str) -> Snapshot:
    """Give the tag as it would be loaded now, complete; or as `skipped`, with the reason, where nothing would change.

    Raises:
        CountMismatch: the stored rows do not add up; the tag was changed by somebody else.
    """
    obstacle = _obstacle(stored)
    read = None if obstacle else _read_again(stored, run_id)
    if read is not None and len(read.places):
        return facts_of(stored.state, "complete", "").holding(_among_the_loaded(stored, read))
    why = obstacle or "no row in quarantine can be believed yet"
    return replace(facts_of(stored.state, "skipped", why), quarantine=stored.quarantine)


def _obstacle(stored: StoredTag) -> str:
    if not stored.state.consistent:
        return "a run died while it loaded this tag: run it again"
    if stored.state.phone_numbers != "plain":
        form = stored.state.phone_numbers.partition(":")[0]
        return f"its quarantine holds {form} numbers, which say nothing of the rows: run the tag again"
    return ""


def _read_again(stored: StoredTag, run_id: str) -> TypedRows:
    """Type the quarantined rows by themselves; places are their order in the quarantine."""
    raw = [text.encode() for text in stored.quarantine["raw"].to_pylist()]
    rows_json = b"[" + b",".join(raw) + b"]"
    page = Page(1, len(raw), len(raw), rows_json)
    return type_rows((page,), Stamp(stored.state.tag, run_id, stored.state.extracted_at), PhonePrivacy())


class _StoredRaw:
    """The raw rows of the quarantine, by their places in the population; those of loaded rows are not kept."""

    def __init__(self, stored: StoredTag, places: list[int]) -> None:
        columns = (stored.quarantine[name].to_pylist() for name in ("page", "position", "raw"))
        self._rows = dict(zip(places, map(RawRow, *columns), strict=True))

    def at(self, place: int) -> RawRow | None:
        """Give the row at a place."""
        return self._rows.get(place)


def _among_the_loaded(stored: StoredTag, read: TypedRows) -> TypedRows:
    """Put the believed rows where the API sent them, and count the occurrences of all numbers anew."""
    loaded, doubted = places_of(stored)
    places = np.concatenate([loaded, doubted[read.places]])
    order = np.argsort(places)
    staying = np.array(sorted(read.reasons), dtype=np.int64)
    raw = stored.quarantine["raw"].take(pa.array(staying)).to_pylist()
    others = pa.array(read_rows([text.encode() for text in raw]).phone_number, pa.string())
    table = pa.concat_tables([_restamped(stored.rows, read.stamp), read.table]).unify_dictionaries().take(order)
    return TypedRows(
        stamp=read.stamp,
        raw=_StoredRaw(stored, doubted.tolist()),
        table=_recounted(table, places[order], others, doubted[staying]),
        places=places[order],
        reasons={int(doubted[place]): reasons for place, reasons in read.reasons.items()},
        drift=read.drift,
        erased=stored.state.erased_places,
    )


def _restamped(rows: pa.Table, stamp: Stamp) -> pa.Table:
    """Give the rows as loaded by the run of the stamp: a tag's rows always name one run."""
    for name, column in stamp.columns(rows.num_rows).items():
        rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), column)
    return rows


def _recounted(table: pa.Table, places: np.ndarray, others: pa.Array, other_places: np.ndarray) -> pa.Table:
    """Count the occurrences anew: rows that stay in quarantine (`others` are their numbers) count, too."""
    order = np.argsort([*places, *other_places])
    numbers = pa.concat_arrays([table["phone_number"].combine_chunks(), others])
    counted = occurrences(numbers.take(pa.array(order))).take(pa.array(np.argsort(order)))
    at = table.schema.get_field_index("occurrence")
    return table.set_column(at, table.schema.field(at), counted.slice(0, table.num_rows))
