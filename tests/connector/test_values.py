"""How one value of the vendor is read, spelling by spelling: status, opt-out, date."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from smspartner import values
from smspartner_schemas.contract import STATUS_WORDS

NO_STATUS = (None, "status_missing")
OTHER_STATUS = (None, "status_unknown")
NO_ANSWER = (None, "stop_sms_unreadable")
NO_DATE = (None, "date_unreadable")
FAR_DATE = (None, "date_out_of_range")
NOTHING = (None, None)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


def each(reading: tuple[object, str | None], *values: object) -> list[tuple[object, tuple[object, str | None]]]:
    """Values that are all read alike."""
    return [(value, reading) for value in values]


def at(*moment: int) -> tuple[int, None]:
    """A date as it is read: microseconds since the epoch of this moment, UTC."""
    return round(datetime(*moment, tzinfo=UTC).timestamp() * 1_000_000), None  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("value", "reading"),
    [
        ("ko", ("ko", None)),
        ("KO", ("ko", None)),
        (None, NO_STATUS),
        ("Deliverеd", OTHER_STATUS),  # noqa: RUF001  # one letter is Cyrillic
        *each(("delivered", None), "Delivered", "delivered", "  delivered \t", "DELIVRD"),
        *each(
            ("not_delivered", None),
            *("Not delivered", "not delivered", "NOT  Delivered", "not\u00a0delivered", "not\ndelivered"),
            *("UNDELIV", "rejectd", "EXPIRED", "DELETED"),
        ),
        *each(("waiting", None), "Waiting", "waiting", "ACCEPTD", "ENROUTE", " Pending ", "SCHEDULED"),
        *each(
            OTHER_STATUS,
            *("", " ", "UNKNOWN", "\ud83d", "not_delivered", "notdelivered", "Numéro introuvable"),
            *("delivered\x00", True, 0, 1.5, ["Delivered"], {}),
        ),
    ],
)
def test_status(value: object, reading: values.Reading) -> None:
    """A documented word counts in any case and with stray white space; of any other value the reason is given."""
    assert reading == values.read_status(value)


@pytest.mark.parametrize(
    ("value", "reading"),
    [
        ("１", NO_ANSWER),  # noqa: RUF001  # full width
        *each((False, None), False, 0, "0", "false", " FALSE ", None),
        *each((True, None), True, 1, "1", "true", "True"),
        *each(NO_ANSWER, "", "yes", "2", 2, -1, 1.0, 0.0, [], {}),
    ],
)
def test_stop_sms(value: object, reading: values.Reading) -> None:
    """An opt-out is a bool, 0 or 1, either as text, or absent; nothing else is taken for an answer."""
    found = values.read_stop_sms(value)
    assert (reading, type(reading[0])) == (found, type(found[0]))


@pytest.mark.parametrize(
    ("value", "reading"),
    [
        ("1517989111", at(2018, 2, 7, 7, 38, 31)),
        (1517989111, at(2018, 2, 7, 7, 38, 31)),
        (1517989111.0, at(2018, 2, 7, 7, 38, 31)),
        (" 1517989111 ", at(2018, 2, 7, 7, 38, 31)),
        ("0000001517989111", at(2018, 2, 7, 7, 38, 31)),
        ("2015-02-07 22:39:46", at(2015, 2, 7, 21, 39, 46)),  # winter: UTC+1
        ("2015-07-07 22:39:46", at(2015, 7, 7, 20, 39, 46)),  # summer: UTC+2
        ("2015-02-07T22:39:46", at(2015, 2, 7, 21, 39, 46)),
        ("2024-02-29 00:30:00", at(2024, 2, 28, 23, 30, 0)),
        ("2024-03-31 01:59:59", at(2024, 3, 31, 0, 59, 59)),
        ("2024-03-31 02:00:00", NO_DATE),  # this hour never was
        ("2024-03-31 03:00:00", at(2024, 3, 31, 1, 0, 0)),
        ("2024-10-27 01:59:59", at(2024, 10, 26, 23, 59, 59)),
        ("2024-10-27 02:30:00", at(2024, 10, 27, 0, 30, 0)),  # this hour came twice: the first of the two
        ("2024-10-27T02:30:00+01:00", at(2024, 10, 27, 1, 30, 0)),  # the second of the two
        ("2024-10-27 03:00:00", at(2024, 10, 27, 2, 0, 0)),
        ("946684800", at(2000, 1, 1)),
        ("4102444800", at(2100, 1, 1)),
        ("1517989111000", FAR_DATE),  # milliseconds
        ("2000-01-01 01:00:00", at(2000, 1, 1)),
        ("2024-01-01 12:00:00Z", at(2024, 1, 1, 12)),
        ("2025-03-12T13:49:22+01:00", at(2025, 3, 12, 12, 49, 22)),
        ("2025-03-12T13:49:22-0330", at(2025, 3, 12, 17, 19, 22)),
        ("2025-03-12T13:49:22+01", at(2025, 3, 12, 12, 49, 22)),
        ("2025-03-30T02:30:00Z", at(2025, 3, 30, 2, 30)),
        ("2025-03-12T13:49:22.5Z", at(2025, 3, 12, 13, 49, 22, 500_000)),
        ("2025-03-12T13:49:22.123456789+01:00", at(2025, 3, 12, 12, 49, 22, 123_456)),
        ("2025-03-12 13:49:22.000000", at(2025, 3, 12, 12, 49, 22)),
        *each(NOTHING, "", " ", "0", 0, 0.0, None, "0000-00-00 00:00:00"),
        *each(
            NO_DATE,
            *("2024-03-31 02:59:59.9", "2025-03-30 02:30:00", "9" * 19, "9" * 1_000_000, 10**400),
            *("0001-01-01 00:00:00", "0000-01-01 00:00:00", "2023-02-29 00:00:00", "2024-01-01 24:00:00"),
            *("2024-01-01 12:00:60", "2024-01-01", "2024-1-1 12:00:00", "07/02/2018 08:38:31"),
            *("2025-03-12T13:49:22.Z", "2025-03-12T13:49:22+24:00", "2025-03-12T13:49:22+01:60"),
            *("2025-03-12T13:49:22 CET", "0001-01-01T00:00:00+14:00", "2025-03-12T13:49Z", "\ud83d", "soon"),
            *("1e9", "1517989111.0", "+1517989111", "1517989111\x00", "\uff11517989111", True, False),
            *(1517989111.5, math.nan, math.inf, 1e300, ["1517989111"], {}),
        ),
        *each(
            FAR_DATE,
            *("946684799", "4102444801", "-1", -1, "1", "1970-01-01 01:00:00", "2000-01-01 00:59:59"),
            *("9999-12-31 23:59:59", "9" * 18, "2000-01-01T00:00:00.000001+00:01"),
        ),
    ],
)
def test_date(value: object, reading: values.Reading) -> None:
    """Epoch seconds, ISO 8601 and local French time are dates; an hour that never was, and other texts, are not."""
    assert reading == values.read_date(value)


@given(ANYTHING)
@example(10**4000)
@example("\ud800")
def test_any_value_is_a_fact_or_a_reason(value: object) -> None:
    """Anything the API sends for a field is read as a valid value, as none, or as a reason that docs name."""
    status, why_status = values.read_status(value)
    stop, why_stop = values.read_stop_sms(value)
    date, why_date = values.read_date(value)

    assert {why_status, why_stop, why_date} <= {None, *values.REASONS}
    assert (status is None) == (why_status is not None)
    assert (stop is None) == (why_stop is not None)
    assert date is None or why_date is None
    assert status in {None, *STATUS_WORDS}
    assert stop in {None, True, False}
    assert date is None or values.EARLIEST_SECOND <= int(str(date)) // 1_000_000 <= values.LATEST_SECOND
