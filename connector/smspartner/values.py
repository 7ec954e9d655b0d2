"""How one value of the vendor is read: tolerant of spelling, strict in type. The only place that says so.

Each reader gives the value and no reason, or no value and the reason why it can't be believed; a value that the API is
allowed to leave out gives neither.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

from smspartner_schemas.contract import EARLIEST_DATE, LATEST_DATE, PHONE_PATTERNS

from smspartner import vendor

Fact = tuple[object, str | None]
Reader = Callable[[object], Fact]

NO_OBJECT = "entry_not_object"
ROW_ERROR = "row_error"
CONTRADICTION = "spellings_contradict"
NUMBER_MISSING = "phone_number_missing"
NUMBER_UNREADABLE = "phone_number_unreadable"
STATUS_MISSING = "status_missing"
STATUS_UNKNOWN = "status_unknown"
STOP_UNREADABLE = "stop_sms_unreadable"
DATE_UNREADABLE = "date_unreadable"
DATE_OUT_OF_RANGE = "date_out_of_range"

REASONS = {
    NO_OBJECT: "the entry is no object",
    ROW_ERROR: "the row carries an error of its own",
    CONTRADICTION: "two spellings of one field contradict each other",
    NUMBER_MISSING: "there is no phone number",
    NUMBER_UNREADABLE: "the phone number is no number",
    STATUS_MISSING: "there is no status",
    STATUS_UNKNOWN: "the status is no documented word",
    STOP_UNREADABLE: "stopSMS is neither yes nor no",
    DATE_UNREADABLE: "the date is no date",
    DATE_OUT_OF_RANGE: f"the date is not between {EARLIEST_DATE:%Y} and {LATEST_DATE:%Y}",
}

E164 = rf"^{PHONE_PATTERNS['plain']}$"
HOME_TRUNK_ZERO = "+330"
"""E.164 in shape only: the 0 that French numbers have at home, kept behind the calling code."""

MOST_EPOCH_DIGITS = 10
EARLIEST_SECOND = int(EARLIEST_DATE.timestamp())
LATEST_SECOND = int(LATEST_DATE.timestamp())

_E164 = re.compile(rf"{PHONE_PATTERNS['plain']}")
_WRITTEN_NUMBER = re.compile(r"(?:00|\+)?[0-9 ().\-/\u00a0\u202f]+")
_LOCAL_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})[ T]([0-9]{2}):([0-9]{2}):([0-9]{2})")
_NO_DATES = frozenset({"", "0", "0000-00-00 00:00:00"})
_LONGEST_VALUE = 64


def read_status(value: object) -> Fact:
    """Read a status word in any case, with stray white space."""
    if value is None:
        return None, STATUS_MISSING
    word = vendor.STATUS_WORDS.get(" ".join(value.lower().split())) if isinstance(value, str) else None
    return (word, None) if word is not None else (None, STATUS_UNKNOWN)


def read_stop_sms(value: object) -> Fact:
    """Read an opt-out: bool, 0 or 1, or either as text; null means false."""
    if value is None:
        return False, None
    if isinstance(value, bool | int | str):
        stop = vendor.STOP_WORDS.get(str(value).strip().lower())
        if stop is not None:
            return stop, None
    return None, STOP_UNREADABLE


def read_phone_number(value: object) -> Fact:
    """Read a number as E.164: as it is, or in national French, `00` or spaced form.

    A number need not be assigned: messages to bad numbers are rows too (`Not delivered`).
    """
    if value is None or value == "":
        return None, NUMBER_MISSING
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or len(value) > _LONGEST_VALUE:
        return None, NUMBER_UNREADABLE
    if _E164.fullmatch(value) and not value.startswith(HOME_TRUNK_ZERO):
        return value, None
    number = _normalised(value.strip())
    if number is None and _E164.fullmatch(value):
        return value, None
    return (number, None) if number is not None else (None, NUMBER_UNREADABLE)


def _normalised(text: str) -> str | None:
    import phonenumbers

    if not _WRITTEN_NUMBER.fullmatch(text):  # letters are no digits, whatever a telephone's keys say
        return None
    try:
        # The narrow space of French typography is the one kind of grouping that the library does not know.
        parsed = phonenumbers.parse(text.replace("\u202f", " "), vendor.HOME_REGION)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):  # digits of another country without their `+`, say
        return None
    number = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return number if _E164.fullmatch(number) else None


def read_date(value: object) -> Fact:
    """Read a date as microseconds since the epoch, UTC: epoch seconds, or local text in Europe/Paris.

    An hour that occurs twice, when summer time ends, is read as the first of the two.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str | None):
        return None, DATE_UNREADABLE
    text = "" if value is None else str(value).strip()
    if text in _NO_DATES:
        return None, None
    seconds = int(text) if re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII) else _local_seconds(text)
    if seconds is None:
        return None, DATE_UNREADABLE
    if not EARLIEST_SECOND <= seconds <= LATEST_SECOND:
        return None, DATE_OUT_OF_RANGE
    return seconds * 1_000_000, None


def _local_seconds(text: str) -> int | None:
    match = _LOCAL_DATE.fullmatch(text)
    if match is None:
        return None
    try:
        local = datetime(*map(int, match.groups()), tzinfo=_local_zone())  # type: ignore[arg-type, misc]
        return int(local.astimezone(UTC).timestamp())
    except (ValueError, OverflowError):
        return None


@cache
def _local_zone() -> ZoneInfo:
    return ZoneInfo(vendor.LOCAL_TIME_ZONE)
