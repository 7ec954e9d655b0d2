"""One response becomes one page, or an error that says why it can't be believed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus

import msgspec

from smspartner import drift, values, vendor
from smspartner.errors import (
    AccessRefused,
    RateLimited,
    RequestError,
    UnexpectedStatus,
    UnknownTag,
    UnreadableBody,
    VendorError,
)
from smspartner.fields import read_fields
from smspartner.redaction import REDACT, hide_numbers
from smspartner.rows import count_rows, split_rows

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_REDIRECTS = range(300, 400)
_RETRYABLE_STATUS = frozenset({408, 425, 429, *range(500, 600)})
_LONGEST_MESSAGE = 200
_MOST_DIGITS = 15
"""Of a count that can be meant: beyond, it is no count of rows, and too large for what counts them."""


@dataclass(frozen=True)
class Page:
    """One page as the API sent it.

    `rows_json` is the JSON of its row list; `drift` names what the documentation does not show of the envelope.
    """

    number: int
    total: int
    row_count: int
    rows_json: bytes = field(repr=False)
    drift: tuple[str, ...] = ()

    @property
    def page_count(self) -> int:
        """How many pages of this one's size the declared total takes; one where there are no rows."""
        return -(-self.total // self.row_count) if self.row_count else 1

    @cached_property
    def raw_rows(self) -> list[bytes]:
        """The JSON of each row, in order."""
        return split_rows(self.rows_json)


def read_page(body: bytes, http_status: int = 200, retry_after: float | None = None) -> Page:
    """Read one response to "status by tag".

    Raises:
        VendorError: the body says `success: false`; that decides whatever the HTTP status.
        RateLimited, UnexpectedStatus: no such body, and an HTTP status other than 200.
        UnreadableBody: HTTP 200 without the documented envelope.
    """
    envelope = read_envelope(body, http_status, retry_after)
    list_keys = [key for key in vendor.LIST_KEYS if key in envelope]
    if len(list_keys) != 1:
        raise UnreadableBody(f"the body has {len(list_keys)} row lists instead of one ({vendor.LIST_KEYS[0]})")
    number, total = _count(envelope, "currentPage"), _count(envelope, "total")
    rows_json = bytes(envelope[list_keys[0]])
    return Page(
        number=number,
        total=total,
        row_count=count_rows(rows_json),
        rows_json=rows_json,
        drift=tuple(sorted(_envelope_drift(envelope))),
    )


def _envelope_drift(envelope: dict[str, msgspec.Raw]) -> Iterator[str]:
    for name, raw in envelope.items():
        kind = drift.raw_json_type(raw)
        if name not in vendor.ENVELOPE_TYPES:
            yield drift.envelope_field(name)
        elif kind != vendor.ENVELOPE_TYPES[name]:
            yield drift.envelope_field(name, kind)


def read_envelope(body: bytes, http_status: int, retry_after: float | None = None) -> dict[str, msgspec.Raw]:
    """Read the fields that every answer of this API has around its content; raises as `read_page` does."""
    trouble = None
    try:
        envelope = _envelope(_utf8(body))
        success = _truth(envelope)
        code = _integer(envelope["code"]) if "code" in envelope else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        trouble = _unreadable(body)
    except UnreadableBody as exc:
        trouble = exc
    if trouble is None and not success:
        raise _refusal(envelope, code, http_status, retry_after)
    if http_status != vendor.SUCCESS_CODE:
        raise _status_error(http_status, retry_after)
    if trouble is not None:
        raise trouble
    if "code" in envelope and code != vendor.SUCCESS_CODE:
        raise UnreadableBody("the body says success, but its code is not 200")
    return envelope


def _envelope(body: bytes) -> dict[str, msgspec.Raw]:
    envelope, contradicted = read_fields(body)
    twice = sorted(contradicted & vendor.ENVELOPE_TYPES.keys())
    if twice:
        raise UnreadableBody(f"the body contradicts itself: it gives `{twice[0]}` twice")
    return envelope


def _utf8(body: bytes) -> bytes:
    """Drop a byte order mark and make sure that every byte is UTF-8, which the JSON readers take for granted."""
    body = body.removeprefix(_BYTE_ORDER_MARK)
    if not body.isascii():
        body.decode("utf-8")
    return body


def _unreadable(body: bytes) -> UnreadableBody:
    start = body[:200].lstrip().lower()
    if not start:
        return UnreadableBody("the body is empty")
    if start.startswith(b"<"):
        return UnreadableBody("the body is a web page (HTML or XML), not JSON")
    return UnreadableBody(f"the body ({len(body):,} bytes) is not a JSON object; it may have been cut")


def _truth(envelope: dict[str, msgspec.Raw]) -> bool:
    value = read_value(envelope.get("success"))
    truth, _ = values.read_stop_sms(value)  # the vendor's one way of saying yes and no
    if value is not None and isinstance(truth, bool):
        return truth
    raise UnreadableBody("the body's `success` is missing or neither true nor false")


def _count(envelope: dict[str, msgspec.Raw], name: str) -> int:
    number = _integer(envelope[name]) if name in envelope else None
    if number is None or number < 0:
        raise UnreadableBody(f"the body's `{name}` is missing or no whole number")
    return number


def _integer(raw: msgspec.Raw) -> int | None:
    """Read a whole number, or the same as text, which PHP back ends send as readily."""
    value = read_value(raw)
    if isinstance(value, str) and re.fullmatch(rf"\s*[0-9]{{1,{_MOST_DIGITS}}}\s*", value, re.ASCII):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 10**_MOST_DIGITS:
        return None
    return value


def read_value(raw: msgspec.Raw | None) -> object:
    """Read one field of an envelope; None where it is missing or beyond reading (too large a number, too deep)."""
    try:
        return None if raw is None else msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def _refusal(
    envelope: dict[str, msgspec.Raw], code: int | None, http_status: int, retry_after: float | None
) -> RequestError:
    """Map `success: false` to the error of its code; an undocumented code leaves the word to the HTTP status."""
    if code not in vendor.ERROR_CODES and http_status in _RETRYABLE_STATUS:
        return _status_error(http_status, retry_after)
    meaning = vendor.ERROR_CODES.get(code or 0, "not documented")
    said = read_value(envelope.get("message"))
    quoted = f', "{_harmless(said)}"' if isinstance(said, str) and said.strip() else ""
    message = f"the API answered code {code} ({meaning}){quoted}"
    if code in vendor.ACCESS_CODES:
        return AccessRefused(message, code=code, http_status=http_status)
    if code == vendor.UNKNOWN_TAG_CODE:
        return UnknownTag(message, code=code, http_status=http_status)
    return VendorError(message, code=code, http_status=http_status)


def _harmless(text: str) -> str:
    """Cut the vendor's sentence to a line, without anything that may be a phone number or the key."""
    line = " ".join(REDACT(text).split())
    return hide_numbers(line)[:_LONGEST_MESSAGE]


def _status_error(http_status: int, retry_after: float | None) -> RequestError:
    if http_status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited("HTTP 429: the API asks for a slower pace", http_status=http_status, retry_after=retry_after)
    hint = "; redirects are not followed, check the base URL" if http_status in _REDIRECTS else ""
    return UnexpectedStatus(
        f"HTTP {http_status} without an answer that can be read{hint}",
        http_status=http_status,
        retryable=http_status in _RETRYABLE_STATUS,
        retry_after=retry_after,
    )
