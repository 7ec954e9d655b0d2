"""How one value of the vendor is read: tolerant of spelling, strict in type.

Each reader returns the value and no reason, or no value and the reason why it is not valid; a value that the API may
leave out gives neither. Phone numbers are read in `phone_numbers`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from smspartner_schemas.contract import EARLIEST_DATE, LATEST_DATE

from smspartner import vendor

Reading = tuple[object, str | None]

NO_OBJECT = "entry_not_object"
BROKEN_TEXT = "text_broken"
ROW_ERROR = "row_error"
CONTRADICTION = "spellings_contradict"
NUMBER_MISSING = "phone_number_missing"
NUMBER_UNREADABLE = "phone_number_unreadable"
STATUS_MISSING = "status_missing"
STATUS_UNKNOWN = "status_unknown"
STOP_UNREADABLE = "stop_sms_unreadable"
DATE_UNREADABLE = "date_unreadable"
DATE_OUT_OF_RANGE = "date_out_of_range"
DATE_IN_FUTURE = "date_in_future"

REASONS = {
    NO_OBJECT: "the entry is not an object",
    BROKEN_TEXT: "the row holds broken text (half a surrogate pair)",
    ROW_ERROR: "the row carries an error of its own",
    CONTRADICTION: "two spellings of one field contradict each other",
    NUMBER_MISSING: "there is no phone number",
    NUMBER_UNREADABLE: "the phone number is not valid, or could be more than one number",
    STATUS_MISSING: "there is no status",
    STATUS_UNKNOWN: "the status is not a documented word",
    STOP_UNREADABLE: "stopSMS is neither yes nor no",
    DATE_UNREADABLE: "the date is not a date, or an hour that never was",
    DATE_OUT_OF_RANGE: f"the date is not between {EARLIEST_DATE:%Y} and {LATEST_DATE:%Y}",
    DATE_IN_FUTURE: "the date is more than a day after the reading",
}

FUTURE_ALLOWED = timedelta(days=1)
"""A clock that runs ahead, or a date in another zone than documented, is at most so far off."""

MOST_EPOCH_DIGITS = 10
EARLIEST_SECOND = int(EARLIEST_DATE.timestamp())
LATEST_SECOND = int(LATEST_DATE.timestamp())

_EPOCH = re.compile(r"-?[0-9]{1,18}")
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T](?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:Z|[+-][0-9]{2}(?::?[0-5][0-9])?)?"
)
_EPOCH_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
NO_DATES = frozenset({"", "0", "0000-00-00 00:00:00"})
"""How a row says that it has no date; null says the same."""


def read_status(value: object) -> Reading:
    """Read a status word in any case, with stray white space."""
    if value is None:
        return None, STATUS_MISSING
    word = vendor.STATUS_WORDS.get(" ".join(value.lower().split())) if isinstance(value, str) else None
    return (word, None) if word is not None else (None, STATUS_UNKNOWN)


def read_stop_sms(value: object) -> Reading:
    """Read an opt-out: bool, 0 or 1, or either as text; null means false."""
    if value is None:
        return False, None
    if isinstance(value, bool | int | str):
        stop = vendor.STOP_WORDS.get(str(value).strip().lower())
        if stop is not None:
            return stop, None
    return None, STOP_UNREADABLE


def read_date(value: object) -> Reading:
    """Read a date as microseconds since the epoch, UTC.

    It may be epoch seconds (number or text), ISO 8601 with an offset or `Z`, or local text in Europe/Paris. Of an hour
    that occurs twice, when summer time ends, the first is taken; an hour that never was, when it begins, is not valid.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str | None):
        return None, DATE_UNREADABLE
    text = "" if value is None else str(value).strip()
    if text in NO_DATES:
        return None, None
    moment = int(text) * 1_000_000 if _EPOCH.fullmatch(text) else _microseconds(text)
    if moment is None:
        return None, DATE_UNREADABLE
    if not EARLIEST_SECOND * 1_000_000 <= moment <= LATEST_SECOND * 1_000_000:
        return None, DATE_OUT_OF_RANGE
    return moment, None


def _microseconds(text: str) -> int | None:
    if not _DATE_TIME.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
        utc = _local_to_utc(moment) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return None if utc is None else (utc - _EPOCH_BEGIN) // timedelta(microseconds=1)


def _local_to_utc(naive: datetime) -> datetime | None:
    """Give the moment of a local time; None for an hour that the clocks left out."""
    utc = naive.replace(tzinfo=_local_zone()).astimezone(UTC)
    return utc if utc.astimezone(_local_zone()).replace(tzinfo=None) == naive else None


@cache
def _local_zone() -> ZoneInfo:
    return ZoneInfo(vendor.LOCAL_TIME_ZONE)
