"""One response becomes one page, or an error that says why it is none."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from itertools import accumulate

import msgspec
import numpy as np

from smspartner import vendor
from smspartner.errors import (
    AccessRefused,
    BodyTooLarge,
    CutBody,
    RateLimited,
    RequestError,
    UnexpectedStatus,
    UnknownTag,
    UnreadableBody,
    VendorError,
    raise_alone,
)
from smspartner.raw_json import Hashes, as_utf8, read_fields, read_list, read_value, split_rows
from smspartner.redaction import plain_text

MOST_VALUES = 1_000_000
"""Of one page, and so at least as many rows; a thousand is the largest page that anybody has seen."""

_MOST_DIGITS = 15
"""Of a count: beyond, it is no count of rows, and too large for what counts them."""

_MOST_DETAILS = 3
_LONGEST_NAME = 40
_TYPE_BY_FIRST_BYTE = {b'"': "string", b"t": "boolean", b"f": "boolean", b"n": "null", b"[": "array", b"{": "object"}
_REDIRECTS = range(300, 400)
_RETRYABLE_STATUS = frozenset({408, 425, 429, *range(500, 600)})

Envelope = Mapping[str, bytes | msgspec.Raw]


@dataclass(frozen=True)
class Page:
    """One page as the API sent it.

    `rows_json` is the JSON array of its rows, valid UTF-8, and `numbers` has a hash of each row's phone number (64
    bits, of this process); `drift` names what the documentation does not show of the envelope.
    """

    number: int
    total: int
    rows_json: bytes = field(repr=False)
    numbers: Hashes = field(repr=False, compare=False)
    drift: tuple[str, ...] = ()

    @property
    def row_count(self) -> int:
        """How many rows it has."""
        return len(self.numbers)

    @property
    def page_count(self) -> int:
        """How many pages of this one's size the declared total takes; one where there are no rows."""
        return max(1, -(-self.total // self.row_count)) if self.row_count else 1

    @cached_property
    def raw_rows(self) -> list[bytes]:
        """The JSON of each row, in order."""
        return split_rows(self.rows_json)


def rows_at(pages: Sequence[Page], indices: Iterable[int]) -> Iterator[tuple[int, int, bytes]]:
    """Give page and position (both from 1) and the JSON of rows, known by their indices (from 0) in all pages."""
    starts = [0, *accumulate(page.row_count for page in pages)]
    for index in indices:
        number = bisect_right(starts, index)
        position = index - starts[number - 1]
        yield number, position + 1, pages[number - 1].raw_rows[position]


def read_page(body: bytes, http_status: int = 200, charset: str | None = None) -> Page:
    """Read one response to "status by tag"; `charset` is the one that its head declares.

    Raises:
        VendorError: the body says `success: false`; that decides under any HTTP status and in any encoding.
        RateLimited: code or HTTP status 429.
        UnexpectedStatus: no such body, and an HTTP status other than 200.
        UnreadableBody: HTTP 200 without the documented envelope.
        BodyTooLarge: more rows than a page can have.
    """
    envelope = read_envelope(body, http_status, charset)
    number, total = _count(envelope, "currentPage"), _count(envelope, "total")
    return Page(number, total, *_rows(envelope, total), tuple(sorted(_drift(envelope))))


def _rows(envelope: Envelope, total: int) -> tuple[bytes, Hashes]:
    """Give the row list as a JSON array, and a hash of each row's number; null is a list without rows."""
    keys = [key for key in vendor.LIST_KEYS if key in envelope]
    if not keys and total == 0:
        return b"[]", np.zeros(0, np.int64)
    if len(keys) != 1:
        raise UnreadableBody(f"the body has {len(keys)} row lists instead of one ({vendor.LIST_KEYS[0]})")
    rows_json = bytes(envelope[keys[0]])
    if rows_json == b"null":
        return b"[]", np.zeros(0, np.int64)
    try:
        return read_list(rows_json)
    except ValueError:  # whose text holds some of the body
        raise_alone(UnreadableBody("the body's row list is not a list"))


def _drift(envelope: Envelope) -> Iterator[str]:
    for name, raw in envelope.items():
        kind = _TYPE_BY_FIRST_BYTE.get(bytes(memoryview(raw)[:1]), "number")
        if name not in vendor.ENVELOPE_TYPES:
            yield f"envelope field {plain_text(name, _LONGEST_NAME)}"
        elif kind != vendor.ENVELOPE_TYPES[name] and kind not in vendor.HABITS.get(name, ()):
            yield f"envelope field {name} as {kind}"


def read_envelope(body: bytes, http_status: int, charset: str | None = None) -> Envelope:
    """Read the fields that every answer of this API has around its content; raises as `read_page` does."""
    if len(body) > MOST_VALUES and body.count(b",") > MOST_VALUES:  # before anything is made of each
        raise BodyTooLarge(f"the body has over {MOST_VALUES:,} values, which no page has")
    body, problem = as_utf8(body, charset), None
    try:
        envelope, success, code = _read_head(body)
    except ValueError:
        problem = _unreadable(body)
    except UnreadableBody as exc:
        problem = exc
    if problem is None and not success:
        raise _refusal(envelope, code, http_status)
    if http_status != HTTPStatus.OK:
        raise _status_error(http_status)
    if problem is not None:
        raise problem
    if "code" in envelope and code != vendor.SUCCESS_CODE:
        raise UnreadableBody("the body says success, but its code is not 200")
    return envelope


def _read_head(body: bytes) -> tuple[Envelope, bool, int | None]:
    """Give the fields of an envelope, its `success`, and its `code` if it has a valid one."""
    envelope, contradicted = read_fields(body)
    twice = sorted(contradicted & vendor.ENVELOPE_TYPES.keys())
    if twice:
        raise UnreadableBody(f"the body contradicts itself: it gives `{twice[0]}` twice")
    value = read_value(envelope.get("success"))
    success = vendor.STOP_WORDS.get(str(value).strip().lower())  # the vendor's ways of saying yes and no
    if success is None or not isinstance(value, bool | int | str):
        raise UnreadableBody("the body's `success` is missing or neither true nor false")
    return envelope, success, _integer(envelope.get("code"))


def _unreadable(body: bytes) -> UnreadableBody:
    start = body[:200].lstrip().lower()
    if not start:
        return UnreadableBody("the body is empty")
    if start.startswith(b"<"):
        return UnreadableBody("the body is a web page (HTML or XML), not JSON")
    kind = CutBody if start.startswith((b"{", b"[")) and read_value(body) is None else UnreadableBody
    return kind(f"the body ({len(body):,} bytes) is not a JSON object; it may have been cut")


def _count(envelope: Envelope, name: str) -> int:
    number = _integer(envelope.get(name))
    if number is None or number < 0:
        raise UnreadableBody(f"the body's `{name}` is missing or not a whole number")
    return number


def _integer(raw: bytes | msgspec.Raw | None) -> int | None:
    """Read a whole number, or the same as text, which PHP back ends send as readily."""
    value = read_value(raw)
    if isinstance(value, str) and re.fullmatch(rf"\s*[0-9]{{1,{_MOST_DIGITS}}}\s*", value, re.ASCII):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 10**_MOST_DIGITS:
        return None
    return value


def _refusal(envelope: Envelope, code: int | None, http_status: int) -> RequestError:
    """Map `success: false` to the error of its code; an undocumented code leaves the decision to the HTTP status."""
    if code not in vendor.ERROR_CODES and http_status in _RETRYABLE_STATUS:
        return _status_error(http_status)
    meaning, _ = vendor.ERROR_CODES.get(code or 0, vendor.OTHER_CODE)
    quoted = "".join(f', "{text}"' for text in _vendor_words(envelope))
    what = f"the API answered code {code} ({meaning}){quoted}"
    if code == vendor.TOO_MANY_CODE:
        return RateLimited(what)
    if code in vendor.ACCESS_CODES:
        return AccessRefused(what, code=code)
    return (UnknownTag if code == vendor.UNKNOWN_TAG_CODE else VendorError)(what, code=code)


def _vendor_words(envelope: Envelope) -> Iterator[str]:
    """Give what the vendor says of a refusal, fit to be shown: `message`, and the first entries of `error`."""
    details = read_value(envelope.get("error"))
    entries = details if isinstance(details, list) else [details]
    for entry in [read_value(envelope.get("message")), *entries[:_MOST_DETAILS]]:
        parts = [entry.get("elementId"), entry.get("message")] if isinstance(entry, dict) else [entry]
        text = plain_text(": ".join(_latin(str(part)) for part in parts if isinstance(part, str | int) and str(part)))
        if text:
            yield text


def _latin(text: str) -> str:
    """Read the bytes that were not UTF-8 (see `as_utf8`) as Latin-1, so that a sentence of the vendor is readable."""
    return re.sub("[\udc80-\udcff]", lambda byte: chr(ord(byte[0]) - 0xDC00), text)


def _status_error(http_status: int) -> RequestError:
    if http_status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited("HTTP 429: the API asks for a slower pace")
    retryable, remedy = http_status in _RETRYABLE_STATUS, None
    if retryable:
        remedy = "run again later"
    elif http_status in _REDIRECTS:
        remedy = "check --base-url: redirects are not followed"
    what = f"HTTP {http_status} without an answer that can be read"
    return UnexpectedStatus(what, remedy=remedy, retryable=retryable)
