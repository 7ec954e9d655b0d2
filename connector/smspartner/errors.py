"""The exceptions of this package; each carries its facts as fields.

    SmsPartnerError
    ├── SettingsError            what was asked for can't be done: nothing was requested
    │   └── TagError             a tag, or a file of tags, is wrong
    ├── RequestError             one page request failed
    │   ├── ConnectionFailed     no answer: refused, reset, unresolved, TLS
    │   ├── ResponseTimeout      the whole answer did not arrive in time
    │   ├── RateLimited          HTTP 429 or code 429: the API asks for a slower pace
    │   ├── UnexpectedStatus     an HTTP status without a valid answer
    │   ├── UnreadableBody       not JSON, or not the documented envelope
    │   │   └── CutBody          ended too early, or was damaged on its way
    │   ├── BodyTooLarge         more bytes than a page can have
    │   └── VendorError          `success: false` with the vendor's code
    │       ├── UnknownTag       code 4: nothing is known under the tag
    │       └── AccessRefused    codes 1, 10, 20, 30, 40, 96: the key or the account
    ├── PopulationError          the pages of a tag do not prove a complete population
    │   ├── PopulationMoved      the declared total changed between pages
    │   └── PopulationIncomplete pages repeat, are missing, or are short
    ├── NotComplete              a tag asked for as a frame is not complete
    ├── QuarantinedRows          rows asked for as a frame are not valid
    ├── CountMismatch            rows received, loaded and quarantined do not add up: a bug, never data
    ├── ValidationBroken         an expectation could not be evaluated
    ├── DestinationError         a destination can't be written or read
    │   └── DestinationBusy      another run holds it
    └── Interrupted              asked to stop

A message says what is wrong, where, and after `; ` what to do: `what` and `remedy` are fields, and messages are never
parsed. No message or field ever holds the API key or a phone number. This module imports nothing third-party.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from smspartner import vendor
from smspartner.redaction import REDACT

_MOST_TAGS = 3  # named in a message


class SmsPartnerError(Exception):
    """Base of all errors of this package.

    `what` says what is wrong and where, `remedy` what to do: given, or the one of its class. As text: "what; remedy".
    """

    remedy = ""

    def __init__(self, what: str = "", *, remedy: str | None = None) -> None:
        self.what = REDACT(what)
        if remedy is not None:
            self.remedy = REDACT(remedy)
        super().__init__(f"{self.what}; {self.remedy}" if self.remedy else self.what)

    def __reduce__(self) -> tuple[Any, ...]:
        """Go from process to process with all facts, for any constructor."""
        return _again, (type(self), self.args, vars(self))


def _again(kind: type[SmsPartnerError], args: tuple[Any, ...], facts: dict[str, Any]) -> SmsPartnerError:
    made = kind.__new__(kind, *args)
    made.__dict__.update(facts)
    return made


def raise_alone(error: Exception) -> NoReturn:
    """Raise without cause and context, also within an `except` block: a foreign exception may hold secrets."""
    try:
        raise error from None
    finally:
        error.__context__ = None


class SettingsError(SmsPartnerError):
    """What was asked for can't be done; nothing was requested."""


class TagError(SettingsError):
    """A tag, or a file of tags, is wrong."""


class RequestError(SmsPartnerError):
    """One request failed.

    `retryable` says whether asking again may help, `retry_after` what the server asks for, in seconds, and
    `http_status` is None where no answer came.
    """

    retryable = False
    remedy = "run again; if it lasts, report this bug"

    def __init__(
        self,
        what: str,
        *,
        remedy: str | None = None,
        http_status: int | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(what, remedy=remedy)
        self.http_status = http_status
        self.retry_after = retry_after
        if retryable is not None:
            self.retryable = retryable


class ConnectionFailed(RequestError):
    """No answer: connection refused or reset, name unresolved, TLS not trusted."""

    retryable = True
    remedy = "check network, proxy and --base-url"


class ResponseTimeout(RequestError):
    """The whole answer did not arrive in time."""

    retryable = True
    remedy = "run again later, or allow more with --timeout"


class RateLimited(RequestError):
    """HTTP 429, or the vendor's code 429: the API asks for a slower pace."""

    retryable = True
    remedy = "run again later, or allow fewer requests with --rate"


class UnexpectedStatus(RequestError):
    """An HTTP status without a valid answer; 408, 425 and 5xx may be asked again."""

    remedy = "check --base-url, and what stands between here and the API"


class UnreadableBody(RequestError):
    """The body is not JSON, or not the documented envelope."""

    retryable = True
    remedy = "run again later; if it lasts, check network, proxy and --base-url"


class CutBody(UnreadableBody):
    """The body ended too early or was damaged on its way: what is missing may have held rows."""


class BodyTooLarge(RequestError):
    """The body has more bytes than a page can have."""

    remedy = "check --base-url, and what stands between here and the API"


class VendorError(RequestError):
    """The API answered `success: false`.

    `code` is the vendor's code (None if it gave none); what the vendor says about it is part of the message.
    """

    def __init__(self, what: str, *, code: int | None, **facts: Any) -> None:
        _, remedy = vendor.ERROR_CODES.get(code or 0, vendor.OTHER_CODE)
        super().__init__(what, remedy=remedy, retryable=code in vendor.RETRYABLE_CODES, **facts)
        self.code = code


class UnknownTag(VendorError):
    """Code 4: the API knows nothing under the tag."""


class AccessRefused(VendorError):
    """Codes 1, 10, 20, 30, 40, 96: the key or the account is refused, for every tag alike."""


class PopulationError(SmsPartnerError):
    """The pages of a tag do not prove a complete population."""

    remedy = "run again; if it lasts, report it to SMS Partner's support"


class PopulationMoved(PopulationError):
    """The declared total changed between pages: the population must be read again."""


class PopulationIncomplete(PopulationError):
    """Pages repeat, are missing, or hold fewer or more rows than they must."""


class NotComplete(SmsPartnerError):
    """Tags asked for as one frame are not complete; `verdicts` gives each such tag its verdict and reason."""

    remedy = "run again, or take the complete ones from iter_snapshots"
    _remedy_of_unknown = "leave out the tags that are unknown, or take the complete ones from iter_snapshots"

    def __init__(self, verdicts: dict[str, tuple[str, str]]) -> None:
        listed = _listed(f"{tag}: {verdict} ({reason})" for tag, (verdict, reason) in verdicts.items())
        unknown = any(verdict == "unknown" for verdict, _ in verdicts.values())
        super().__init__(f"not every tag is complete: {listed}", remedy=self._remedy_of_unknown if unknown else None)
        self.verdicts = verdicts


class QuarantinedRows(SmsPartnerError):
    """Rows asked for as one frame are in quarantine; `rows` counts them by tag."""

    remedy = "iter_snapshots shows them with their reasons, allow_quarantined accepts that many"

    def __init__(self, rows: dict[str, int], remedy: str | None = None) -> None:
        listed = _listed(f"{tag}: {count}" for tag, count in rows.items())
        super().__init__(f"{sum(rows.values())} rows are not valid ({listed})", remedy=remedy)
        self.rows = rows


def _listed(tags: Iterable[str]) -> str:
    """List the first tags; the field beside the message holds all."""
    listed = list(tags)
    more = [f"and {len(listed) - _MOST_TAGS} more"] if len(listed) > _MOST_TAGS else []
    return ", ".join([*listed[:_MOST_TAGS], *more])


class CountMismatch(SmsPartnerError):
    """Rows received, loaded and quarantined do not add up: a bug of ours, never accepted as data."""


class ValidationBroken(SmsPartnerError):
    """An expectation could not be evaluated, which says nothing about the data."""


class DestinationError(SmsPartnerError):
    """A destination can't be written or read."""


class DestinationBusy(DestinationError):
    """Another run holds the destination."""


class Interrupted(SmsPartnerError):
    """Asked to stop."""

    remedy = "run again, and what is loaded is kept"
