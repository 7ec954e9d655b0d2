"""The exceptions of this package; each carries its facts as fields.

    SmsPartnerError
    ├── SettingsError            what was asked for can't be done: nothing was requested
    │   └── TagError             a tag, or a file of tags, is wrong
    ├── RequestError             one page request failed
    │   ├── ConnectionFailed     no answer: refused, reset, unresolved, TLS
    │   ├── ResponseTimeout      the whole answer did not arrive in time
    │   ├── RateLimited          HTTP 429
    │   ├── UnexpectedStatus     an HTTP status that brings no believable answer
    │   ├── UnreadableBody       cut, not JSON, or not the documented envelope
    │   ├── BodyTooLarge         more bytes than a page can have
    │   └── VendorError          `success: false` with the vendor's code
    │       ├── UnknownTag       code 4: nothing is known under the tag
    │       └── AccessRefused    codes 1, 10, 20, 30, 40, 96: the key or the account
    ├── PopulationError          the pages of a tag prove no complete population
    │   ├── PopulationMoved      the declared total changed between pages
    │   └── PopulationIncomplete pages repeat, are missing, or are short
    ├── NotComplete              a tag asked for as a frame is not complete
    ├── QuarantinedRows          rows asked for as a frame can't be believed
    ├── RawRowMissing            a loaded row is doubted, but its JSON is not kept
    ├── CountMismatch            our own books do not balance: a bug, never data
    ├── ValidationBroken         an expectation could not be evaluated
    ├── DestinationError         a destination can't be written or read
    │   └── DestinationBusy      another run holds it
    └── Interrupted              asked to stop

A message says what happened, where, and after `; ` what to do (docs/architecture.md, "How an error reads"). `what` is
the message without the remedy that its class adds, for those who tell remedies elsewhere.

No message or field ever holds the API key or a phone number. This module imports nothing third-party.
"""

from __future__ import annotations

from typing import Any, NoReturn

from smspartner import vendor
from smspartner.redaction import REDACT

_MOST_TAGS = 3
"""A message names; the facts beside it hold all."""


class SmsPartnerError(Exception):
    """Base of all errors of this package.

    `what` says what happened and where, `remedy` what to do: given, or the one of its class. As text: both, after `; `.
    """

    remedy = ""

    def __init__(self, what: str = "", *, remedy: str | None = None) -> None:
        self.what = REDACT(what)
        if remedy is not None:
            self.remedy = REDACT(remedy)
        super().__init__(f"{self.what}; {self.remedy}" if self.remedy else self.what)

    def __reduce__(self) -> tuple[Any, ...]:
        """Go from process to process with all facts, whatever the constructor takes."""
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
    """One page request failed.

    `retryable` tells whether asking again may help; `retry_after` is the server's own wish in seconds.
    """

    retryable = False
    remedy = "run again; if it lasts, report this bug"

    def __init__(self, message: str, *, http_status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.retry_after = retry_after


class ConnectionFailed(RequestError):
    """No answer: connection refused or reset, name unresolved, TLS not trusted."""

    retryable = True
    remedy = "check network, proxy and --base-url"


class ResponseTimeout(RequestError):
    """The whole answer did not arrive in time."""

    retryable = True
    remedy = "run again later, or allow more with --timeout"


class RateLimited(RequestError):
    """HTTP 429: the API asks for a slower pace."""

    retryable = True
    remedy = "run again later, or allow fewer requests with --rate"


class UnexpectedStatus(RequestError):
    """An HTTP status that brings no believable answer; 408, 425 and 5xx may be asked again."""

    def __init__(self, message: str, *, http_status: int, retryable: bool, retry_after: float | None = None) -> None:
        self.remedy = "run again later" if retryable else "check --base-url, and what stands between here and the API"
        super().__init__(message, http_status=http_status, retry_after=retry_after)
        self.retryable = retryable


class UnreadableBody(RequestError):
    """The body is cut, no JSON, or not the documented envelope."""

    retryable = True
    remedy = "run again later; if it lasts, check network, proxy and --base-url"


class BodyTooLarge(RequestError):
    """The body has more bytes than a page can have."""

    remedy = "check --base-url, and what stands between here and the API"


class VendorError(RequestError):
    """The API answered `success: false`.

    `code` is the vendor's code (None if it gave none); the vendor's own sentence is part of the message.
    """

    def __init__(self, message: str, *, code: int | None, http_status: int | None = None) -> None:
        self.remedy = vendor.REMEDIES.get(code or 0, vendor.REMEDY_OF_OTHERS)
        super().__init__(message, http_status=http_status)
        self.code = code


class UnknownTag(VendorError):
    """Code 4: the API knows nothing under the tag."""


class AccessRefused(VendorError):
    """Codes 1, 10, 20, 30, 40, 96: the key or the account is refused, for every tag alike."""


class PopulationError(SmsPartnerError):
    """The pages of a tag prove no complete population."""

    remedy = "run again; if it lasts, tell SMS Partner's support"


class PopulationMoved(PopulationError):
    """The declared total changed between pages: the population must be read again."""


class PopulationIncomplete(PopulationError):
    """Pages repeat, are missing, or hold fewer or more rows than they must."""


class NotComplete(SmsPartnerError):
    """Tags asked for as one frame are not complete; `verdicts` gives each such tag its verdict and reason."""

    remedy = "run again, or take the complete ones from iter_snapshots"

    def __init__(self, verdicts: dict[str, tuple[str, str]]) -> None:
        some = list(verdicts.items())[:_MOST_TAGS]
        listed = ", ".join(f"{tag}: {verdict} ({reason})" for tag, (verdict, reason) in some)
        more = f", and {len(verdicts) - len(some)} more" if len(verdicts) > len(some) else ""
        super().__init__(f"not every tag is complete: {listed}{more}; {self.remedy}")
        self.verdicts = verdicts


class QuarantinedRows(SmsPartnerError):
    """Rows asked for as one frame can't be believed; `rows` counts them by tag."""

    def __init__(
        self,
        rows: dict[str, int],
        remedy: str = "iter_snapshots shows them with their reasons, allow_quarantined accepts that many",
    ) -> None:
        some = list(rows.items())[:_MOST_TAGS]
        listed = ", ".join(f"{tag}: {count}" for tag, count in some)
        listed += f", and {len(rows) - len(some)} more tags" if len(rows) > len(some) else ""
        super().__init__(f"{sum(rows.values())} rows can't be believed ({listed}); {remedy}")
        self.rows = rows


class RawRowMissing(SmsPartnerError):
    """A row that is loaded already is doubted now, but the JSON it was read from is not kept."""

    remedy = "run again with --refresh all"


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
