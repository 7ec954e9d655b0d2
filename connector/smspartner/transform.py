"""Columns of facts become typed rows and quarantine, for many tags in one pass.

A pass costs some milliseconds however few rows it has: small tags are typed together, and given apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import DELIVERED, STATUSES
from smspartner_schemas.rules import broken_rules, column_rules

from smspartner.columns import Columns, read_columns
from smspartner.country import countries
from smspartner.drift import DATE_MISSING
from smspartner.erasure import NOBODY, ErasedNumbers
from smspartner.page import Page
from smspartner.phone_numbers import PhonePrivacy
from smspartner.rows import Drift
from smspartner.typed_rows import TIMESTAMP, PageRows, Reasons, Stamp, TypedRows

_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sent:
    """What the API sent of one tag: the pages of its whole population; and what all its rows have in common."""

    pages: tuple[Page, ...]
    stamp: Stamp


def type_rows(
    pages: tuple[Page, ...], stamp: Stamp, privacy: PhonePrivacy, erased: ErasedNumbers = NOBODY
) -> TypedRows:
    """Turn the pages of one complete population into typed rows; see `type_tags`."""
    return type_tags([Sent(pages, stamp)], privacy, erased)[0]


def type_tags(tags: Sequence[Sent], privacy: PhonePrivacy, erased: ErasedNumbers = NOBODY) -> list[TypedRows]:
    """Turn the pages of complete populations into typed rows, one after the other in one pass.

    What breaks a rule of the contract is doubted; rows of a number that was erased are left out altogether.
    """
    if not tags:
        return []
    pages = tuple(chain.from_iterable(tag.pages for tag in tags))
    owner = np.repeat(np.arange(len(tags)), [sum(page.row_count for page in tag.pages) for tag in tags])
    columns = read_columns(pages)
    left_out = erased.places(columns.phone_number, columns.reasons, PageRows(pages, privacy).as_sent)
    table = _table(columns, privacy, [tag.stamp for tag in tags], owner)
    reasons = {place: why for place, why in columns.reasons.items() if place not in left_out}
    places = np.arange(len(owner))
    if reasons or left_out:
        places = np.delete(places, [*reasons, *left_out])
        table = table.take(pa.array(places))
    table = table.cast(arrow_schema(STATUSES))
    undated = pc.and_(pc.equal(table["status"], DELIVERED), pc.is_null(table["status_at"]))
    columns.drift[DATE_MISSING] = places[np.asarray(undated)].tolist()
    breaking = broken(table, privacy)
    if breaking:
        reasons |= {int(places[row]): why for row, why in breaking.items()}
        keep = np.ones(len(places), dtype=bool)
        keep[list(breaking)] = False
        table, places = table.filter(pa.array(keep)), places[keep]
    return list(_apart(tags, owner, _Typed(table, places, reasons, left_out, columns.drift), privacy))


def broken(table: pa.Table, privacy: PhonePrivacy) -> Reasons:
    """Name, for each row that breaks a rule of the contract, the rules it breaks.

    That the primary key is unique follows from how `occurrences` counts, and is not looked at once more.
    """
    reasons: Reasons = {}
    for name, rows in broken_rules(table, column_rules(phone_form=privacy.form)).items():
        for row in rows.tolist():
            reasons[row] = (*reasons.get(row, ()), name)
    return reasons


def occurrences(numbers: pa.Array, owner: _Ints | None = None) -> pa.Array:
    """Count the rows of each phone number (of each tag, which `owner` numbers) from 1, in order.

    The counts are int32; null where the number is null.
    """
    codes = numbers.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
    ids = codes if owner is None or not len(owner) else codes.astype(np.int64) * (owner[-1] + 1) + owner
    ascending = np.sort(ids)
    if not (
        ascending[1:] == ascending[:-1]
    ).any():  # each number once, as is usual: sorting is told faster than hashing
        return pc.if_else(pc.is_valid(numbers), pa.scalar(1, pa.int32()), None)
    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    ranks = np.empty(len(ids), dtype=np.int32)
    ranks[order] = np.arange(len(ids)) - np.repeat(starts, np.diff(np.r_[starts, len(ids)])) + 1
    return pc.if_else(pc.is_valid(numbers), pa.array(ranks, pa.int32()), None)


def _table(columns: Columns, privacy: PhonePrivacy, stamps: Sequence[Stamp], owner: _Ints) -> pa.Table:
    """Put the rows of all tags into the columns of `statuses`; what can't be believed is null yet."""
    numbers = privacy.protect_all(columns.phone_number)
    runs = list(dict.fromkeys(stamp.run_id for stamp in stamps))
    run_of_tag = np.array([runs.index(stamp.run_id) for stamp in stamps])
    read_at = pa.array([stamp.extracted_at for stamp in stamps], TIMESTAMP)
    whole = {
        "tag": _named(owner, [stamp.tag for stamp in stamps]),
        "phone_number": numbers,
        "occurrence": occurrences(numbers, owner),
        "country": countries(columns.phone_number),
        "status": columns.status.dictionary_encode(),
        "stop_sms": columns.stop_sms,
        "status_at": columns.status_at,
        "extracted_at": read_at.take(pa.array(owner)),
        "run_id": _named(run_of_tag[owner], runs),
    }
    return pa.table([whole[name] for name in STATUSES.column_names], names=STATUSES.column_names)


def _named(codes: _Ints, names: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names, pa.string()))


@dataclass(frozen=True)
class _Typed:
    """The rows of many tags, one tag after the other; places count through all of them."""

    table: pa.Table
    places: _Ints
    reasons: Reasons
    left_out: frozenset[int]
    drift: Drift


def _apart(tags: Sequence[Sent], owner: _Ints, typed: _Typed, privacy: PhonePrivacy) -> Iterator[TypedRows]:
    """Give the rows tag by tag, places counted from 0 in each."""
    starts = np.searchsorted(owner, np.arange(len(tags) + 1))
    bounds = np.searchsorted(typed.places, starts)
    reasons: list[Reasons] = [{} for _ in tags]
    for place, why in typed.reasons.items():
        reasons[owner[place]][int(place - starts[owner[place]])] = why
    erased: list[list[int]] = [[] for _ in tags]
    for place in sorted(typed.left_out):
        erased[owner[place]].append(int(place - starts[owner[place]]))
    drift = [Counter(name for page in tag.pages for name in page.drift) for tag in tags]
    for name, places in typed.drift.items():
        for number, count in Counter(owner[places].tolist()).items() if places else ():
            drift[number][name] = count
    for number, tag in enumerate(tags):
        begin, end = bounds[number], bounds[number + 1]
        yield TypedRows(
            stamp=tag.stamp,
            raw=PageRows(tag.pages, privacy),  # for what may yet be doubted
            table=typed.table if len(tags) == 1 else _rows_of_tag(typed.table.slice(begin, end - begin), tag.stamp),
            places=typed.places[begin:end] - starts[number],
            reasons=reasons[number],
            drift=drift[number],
            erased=tuple(erased[number]),
        )


def _rows_of_tag(rows: pa.Table, stamp: Stamp) -> pa.Table:
    """Give rows of one tag a dictionary of tags that holds no other."""
    own = {"tag": _named(np.zeros(rows.num_rows, dtype=np.int64), [stamp.tag])}
    arrays = [own.get(name, column) for name, column in zip(rows.column_names, rows.columns, strict=True)]
    return pa.Table.from_arrays(arrays, schema=rows.schema)
