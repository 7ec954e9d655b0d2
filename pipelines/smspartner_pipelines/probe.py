"""What the API does where its documentation is silent: a report that a user can send on.

It holds no key, no phone number and no tag: counts, types, and words of the vendor made plain.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import smspartner
from smspartner import vendor
from smspartner.client import Client, RawAnswer
from smspartner.errors import AccessRefused, RequestError
from smspartner.page import Page, read_page
from smspartner.redaction import plain_text
from smspartner.values import read_date

if TYPE_CHECKING:
    from smspartner.connection import Connection

_FAR = 1_000_000
_MOST_NAMES = 50
_SHORTEST_ANYWHERE = 4
"""Letters of a tag; a shorter one is hidden where it stands alone: it is part of many words."""

_LONGEST_WORD = 40
_HEADERS = re.compile(r"(?i)retry-after|.*rate-?limit.*|content-type|content-encoding|server|cache-control|via")
"""What may matter to a client; cookies and the like stay out."""

_FORMS = {
    "empty": r"\s*",
    "+ and digits": r"\+[0-9]+",
    "00 and digits": r"00[0-9]+",
    "0 and digits": r"0[0-9]+",
    "digits": r"[0-9]+",
    "YYYY-MM-DD HH:MM:SS": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    "ISO 8601 with offset": r"\d{4}-\d\d-\d\dT.*(?:Z|[+-]\d\d:?\d\d)",
}
_TYPES = {bool: "true or false", int: "number", float: "number", type(None): "null", list: "list", dict: "object"}


@dataclass(frozen=True)
class _Seen:
    """One answer: what was asked, what came, and the page in it or why there is none."""

    asked: str
    number: int | None
    raw: RawAnswer | None
    page: Page | None
    failure: RequestError | None

    @cached_property
    def rows(self) -> list[Any]:
        """The rows as JSON values."""
        return _read_json(self.page.rows_json) if self.page else []

    @property
    def identities(self) -> list[str]:
        """What distinguishes rows, also where their statuses have changed between two answers."""
        return [
            f"{row.get('phoneNumber')} {row.get('date')}" if isinstance(row, dict) else str(row) for row in self.rows
        ]


def probe_api(tag: str, connection: Connection) -> dict[str, Any]:
    """Ask for about eight pages of a tag, one after the other, and report what came.

    Raises:
        RequestError: the first page can't be read: nothing can be found out.
    """
    client = Client(connection)
    try:
        first = _ask(client, tag, "the first page", None)
        if first.page is None:
            raise first.failure or RequestError("the first page can't be read")
        last = first.page.page_count
        plan = {"page=1": 1, "the last page": last, "the page behind the end": last + 1, "page=2": 2, "page=0": 0}
        plan |= {"a page far behind the end": last + _FAR}
        seen = [first, _ask(client, tag, "the first page again", None)]
        for asked, number in plan.items():
            if all(number != one.number for one in seen):
                seen.append(_ask(client, tag, asked, number))
    finally:
        client.close()
    return _report(first.page, seen, tag)


def _ask(client: Client, tag: str, asked: str, number: int | None) -> _Seen:
    raw = page = failure = None
    try:
        raw = client.fetch_raw(tag, number)
        page = read_page(raw.body, raw.http_status)
    except AccessRefused:
        raise
    except RequestError as exc:
        failure = exc
    return _Seen(asked, number, raw, page, failure)


def _read_json(text: str | bytes) -> Any:
    return json.loads(text, parse_int=float)  # whose digits have no limit


def _report(first: Page, seen: Sequence[_Seen], tag: str) -> dict[str, Any]:
    rows = [row for one in seen for row in one.rows]
    objects = [row for row in rows if isinstance(row, dict)]
    whole = _read_json(seen[0].raw.body.decode("utf-8-sig", "replace")) if seen[0].raw else {}
    envelope = {name: value for name, value in whole.items() if name not in vendor.LIST_KEYS}
    words = [row.get("status", row.get("statut")) for row in objects]
    headers = [header for one in seen if one.raw for header in one.raw.headers.items() if _HEADERS.fullmatch(header[0])]
    return {
        "made_by": f"smspartner-connector {smspartner.__version__}",
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "page_size": first.row_count,
        "total": first.total,
        "total_counts": _what_total_counts(first, seen),
        "asked_twice": "the same" if seen[0].rows == seen[1].rows else "not the same",
        "order": _order(seen[0].rows),
        "answers": [_answer(one, seen[:place]) for place, one in enumerate(seen)],
        "envelope_fields": _fields([envelope], tag),
        "row_fields": _fields(objects, tag),
        "rows_that_are_no_objects": len(rows) - len(objects),
        "status_words": dict(
            Counter(_shown(word, tag) for word in words if isinstance(word, str)).most_common(_MOST_NAMES)
        ),
        "headers": dict(sorted((_shown(name.title(), tag), _shown(value, tag)) for name, value in headers)),
    }


def _what_total_counts(first: Page, seen: Sequence[_Seen]) -> str:
    by_number = {1: seen[0]} | {one.number: one for one in seen if one.number is not None}
    behind, last = by_number[first.page_count + 1], by_number[first.page_count]
    within = [one for one in seen if one.number is None or one.number <= first.page_count]
    if not {identity for one in within for identity in one.identities}.issuperset(behind.identities):
        return "not all rows: there are more behind the end"
    if last.page is None:
        return "unknown: the last page can't be read"
    expected = first.total - (first.page_count - 1) * first.row_count
    if last.page.row_count != expected:
        return f"unknown: the last page holds {last.page.row_count} rows where {expected} are left"
    return "all rows, as far as can be seen" if first.page_count > 1 else "unknown: one page only; try a larger tag"


def _answer(one: _Seen, before: Sequence[_Seen]) -> dict[str, Any]:
    """Say what came for one request, compared with the answers before it."""
    facts = {"asked": one.asked, "http_status": getattr(one.raw or one.failure, "http_status", None)}
    if one.page is None:
        return {**facts, "failure": type(one.failure).__name__, "code": getattr(one.failure, "code", None)}
    facts |= {"page": one.page.number, "total": one.page.total, "rows": one.page.row_count}
    same = [other.asked for other in before if one.rows and one.identities == other.identities]
    known = {identity for other in before for identity in other.identities}
    repeated = sum(identity in known for identity in one.identities)
    return {**facts, "which_rows": f"those of {same[0]}" if same else f"{repeated or 'none'} of them seen before"}


def _order(rows: Sequence[Any]) -> str:
    dates = [read_date(row.get("date"))[0] for row in rows if isinstance(row, dict)]
    found: list[Any] = [date for date in dates if date is not None]
    steps = {later > earlier for earlier, later in pairwise(found) if later != earlier}
    if len(steps) > 1:
        return "neither oldest nor newest first"
    words = {True: "oldest first", False: "newest first"}
    return words[steps.pop()] if steps else "unknown: too few dates that differ"


def _fields(objects: Sequence[Mapping[str, Any]], tag: str) -> dict[str, dict[str, int]]:
    """Count the types and forms of every field, by its name."""
    found: dict[str, Counter[str]] = {}
    for one in objects:
        for name, value in one.items():
            found.setdefault(_shown(name, tag), Counter())[_form(value)] += 1
    return {name: dict(forms) for name, forms in list(found.items())[:_MOST_NAMES]}


def _form(value: Any) -> str:
    if not isinstance(value, str):
        return _TYPES[type(value)]
    return "text: " + next((form for form, pattern in _FORMS.items() if re.fullmatch(pattern, value)), "other")


def _shown(text: str, tag: str) -> str:
    """Make a text of the vendor fit for the report: plain, and without the tag, in any case."""
    edge = r"\b" if len(tag) < _SHORTEST_ANYWHERE else ""
    return plain_text(re.sub(f"{edge}{re.escape(tag)}{edge}", "(tag)", text, flags=re.IGNORECASE), _LONGEST_WORD)


def as_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Give the report as lines for people."""
    for name, value in report.items():
        if not isinstance(value, Mapping | list):
            yield f"{name}: {value}"
            continue
        yield f"{name}:"
        parts = value if isinstance(value, list) else [{key: facts} for key, facts in value.items()]
        yield from (f"  {_in_words(part)}" for part in parts)


def _in_words(facts: Any) -> str:
    if not isinstance(facts, Mapping):
        return str(facts)
    return ", ".join(f"{name}: {_in_words(value)}" for name, value in facts.items())
