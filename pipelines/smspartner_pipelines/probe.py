"""What the API does where its documentation is silent: a report that a user can send on.

It holds no key, no phone number and no tag: counts, types, words of the vendor made plain, and answers in our words.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from smspartner import vendor
from smspartner.client import Client
from smspartner.errors import AccessRefused, RequestError, SmsPartnerError
from smspartner.page import Page, read_page
from smspartner.redaction import hide_numbers, plain_text
from smspartner.values import read_date

if TYPE_CHECKING:
    from smspartner.client import RawAnswer
    from smspartner.connection import Connection

_FAR = 1_000_000
_MOST_WORDS = 12
_LONGEST_WORD = 40
_HEADERS = re.compile(r"retry-after|.*rate-?limit.*|content-type|content-encoding|date|server|cache-control|via", re.I)
"""What may matter to a client; cookies and the like stay out."""

_FORMS = (
    ("empty", r"\s*"),
    ("+ and digits", r"\+[0-9]+"),
    ("00 and digits", r"00[0-9]+"),
    ("0 and digits", r"0[0-9]+"),
    ("digits", r"[0-9]+"),
    ("YYYY-MM-DD HH:MM:SS", r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"),
    ("ISO 8601 with offset", r"\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:?\d\d)"),
)


class NothingToProbe(SmsPartnerError):
    """The first page can't be read, or holds no rows, so there is nothing to learn from this tag."""


@dataclass(frozen=True)
class Seen:
    """One answer of the API: what was asked, and the page that came, or the failure."""

    asked: str
    number: int | None
    raw: RawAnswer | None
    page: Page | None
    failure: RequestError | None

    @property
    def rows(self) -> list[Any]:
        """The rows of the page as JSON values."""
        found: list[Any] = json.loads(self.page.rows_json) if self.page else []
        return found


def probe_api(tag: str, connection: Connection) -> dict[str, Any]:
    """Ask for about nine pages of a tag, one after the other, and report what came.

    Raises:
        AccessRefused: the API refuses the key or the account.
        NothingToProbe: the tag has no first page with rows.
    """
    client = Client(connection)
    try:
        first = _ask(client, tag, "the first page", None)
        if first.page is None or not first.page.row_count:
            what = first.failure.what if first.failure else "the first page has no rows"
            raise NothingToProbe(what, remedy="name a tag of several hundred messages")
        last = first.page.page_count
        plan = {"page=1": 1, "page 2": 2, "the last page": last, "the page behind the end": last + 1, "page 0": 0}
        plan |= {"a page far behind the end": last + _FAR}
        seen = [first, _ask(client, tag, "the first page again", None)]
        for asked, number in plan.items():
            if all(number != one.number for one in seen):
                seen.append(_ask(client, tag, asked, number))
    finally:
        client.close()
    return _without_tag(_report(seen), tag)


def _ask(client: Client, tag: str, asked: str, number: int | None) -> Seen:
    raw, page, failure = None, None, None
    try:
        raw = client.fetch_raw(tag, number)
        page = read_page(raw.body, raw.http_status)
    except AccessRefused:
        raise
    except RequestError as exc:
        failure = exc
    return Seen(asked, number, raw, page, failure)


def _report(seen: Sequence[Seen]) -> dict[str, Any]:
    first = seen[0]
    assert first.page is not None
    rows = [row for one in seen[2:] for row in one.rows] if len(seen) > 2 else first.rows
    return {
        "made_by": f"smspartner-connector {importlib.metadata.version('smspartner-connector')}",
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "page_size": first.page.row_count,
        "total": first.page.total,
        "total_counts": _what_total_counts(seen),
        "two_requests": "the same" if first.rows == seen[1].rows else "other rows, or in another order",
        "order": _order(first.rows),
        "answers": [_answer(one, seen) for one in seen],
        "envelope_fields": _fields([_envelope(one) for one in seen[:1]]),
        "row_fields": _fields([row for row in rows if isinstance(row, dict)]),
        "rows_that_are_no_objects": sum(not isinstance(row, dict) for row in rows),
        "status_words": _words(row.get("status", row.get("statut")) for row in rows if isinstance(row, dict)),
        "headers": dict(sorted(header for one in seen for header in _headers(one))),
    }


def _what_total_counts(seen: Sequence[Seen]) -> str:
    first = seen[0].page
    assert first is not None
    behind = next((one for one in seen if one.number == first.page_count + 1), None)
    last = next((one for one in seen if one.number == first.page_count), seen[0])
    if behind and behind.page and behind.page.row_count and _which_rows(behind, seen) == "rows of no other page":
        return "not all rows: there are more behind the end"
    if last.page is None:
        return "unknown: the last page can't be read"
    expected = first.total - (first.page_count - 1) * first.row_count
    if last.page.row_count != expected:
        return f"unknown: the last page holds {last.page.row_count} rows where {expected} are left"
    return "all rows, as far as can be seen" if first.page_count > 1 else "the rows of the one page; try a larger tag"


def _answer(one: Seen, seen: Sequence[Seen]) -> dict[str, Any]:
    """Say what came for one request."""
    facts: dict[str, Any] = {"asked": one.asked, "http_status": one.raw.http_status if one.raw else None}
    if one.page is None:
        assert one.failure is not None
        code = getattr(one.failure, "code", None)
        return {**facts, "failure": type(one.failure).__name__, "code": code}
    first = seen[0].page
    assert first is not None
    asked_for = 1 if one.number is None else one.number
    said = {asked_for: "the one asked for", 1: "1", first.page_count: "the last"}.get(one.page.number, "another")
    total = "the same" if one.page.total == first.total else f"{one.page.total - first.total:+d}"
    which = _which_rows(one, seen)
    return {**facts, "page_number": said, "total": total, "rows": one.page.row_count, "which_rows": which}


def _which_rows(one: Seen, seen: Sequence[Seen]) -> str:
    """Say whether a page's numbers and dates are those of a page that was asked for before."""
    rows = [_identity(row) for row in one.rows]
    if not rows:
        return "none"
    for other in seen[: seen.index(one)]:
        if rows == [_identity(row) for row in other.rows]:
            return f"those of {other.asked}"
    known = {_identity(row) for other in seen[: seen.index(one)] for row in other.rows}
    both = sum(row in known for row in rows)
    return f"{both} of them on other pages, too" if both else "rows of no other page"


def _identity(row: Any) -> tuple[str, str]:
    return (str(row.get("phoneNumber")), str(row.get("date"))) if isinstance(row, dict) else ("", str(row))


def _order(rows: Sequence[Any]) -> str:
    dates = [read_date(row.get("date"))[0] for row in rows if isinstance(row, dict)]
    found = [date for date in dates if date is not None]
    steps = {later - earlier for earlier, later in pairwise(found)} - {0}
    if not steps:
        return "unknown: too few dates that differ"
    signs = {step > 0 for step in steps}
    return "neither" if len(signs) == 2 else "oldest first" if signs == {True} else "newest first"


def _fields(objects: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Count the types and forms of every field, by its name."""
    found: dict[str, Counter[str]] = {}
    for one in objects:
        for name, value in one.items():
            found.setdefault(plain_text(name, _LONGEST_WORD), Counter())[_form(value)] += 1
    return {name: dict(forms) for name, forms in found.items()}


def _form(value: Any) -> str:
    if isinstance(value, str):
        return next((f"text: {form}" for form, pattern in _FORMS if re.fullmatch(pattern, value)), "text: other")
    names = {bool: "true or false", int: "number", float: "number", type(None): "null", list: "list", dict: "object"}
    return names[type(value)]


def _words(values: Iterator[Any]) -> dict[str, int]:
    found = Counter(plain_text(value, _LONGEST_WORD) for value in values if isinstance(value, str))
    return dict(found.most_common(_MOST_WORDS))


def _envelope(one: Seen) -> dict[str, Any]:
    assert one.raw is not None
    found = json.loads(one.raw.body.decode("utf-8-sig", "replace"))
    return {name: value for name, value in found.items() if name not in vendor.LIST_KEYS}


def _headers(one: Seen) -> Iterator[tuple[str, str]]:
    for name, value in one.raw.headers.items() if one.raw else ():
        if _HEADERS.fullmatch(name):
            yield name.title(), value if name.lower() == "date" else plain_text(value)


def _without_tag(report: dict[str, Any], tag: str) -> dict[str, Any]:
    """Take the tag and anything like a number out of whatever the vendor sent; our own words stay."""
    text = json.dumps({name: report[name] for name in ("row_fields", "envelope_fields", "status_words")})
    return report | json.loads(text)


def as_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Give the report as lines for people."""
    for name, value in report.items():
        if isinstance(value, Mapping):
            yield f"{name}:"
            yield from (f"  {key}: {_in_words(facts)}" for key, facts in value.items())
        elif isinstance(value, list):
            yield f"{name}:"
            yield from (f"  {_in_words(facts)}" for facts in value)
        else:
            yield f"{name}: {value}"


def _in_words(facts: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items()) if isinstance(facts, Mapping) else str(facts)
