"""How one value of the vendor is read, spelling by spelling."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from smspartner import values, vendor
from smspartner_schemas.contract import STATUS_WORDS

MISSING_NUMBER = (None, "phone_number_missing")
NO_NUMBER = (None, "phone_number_unreadable")
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


def at(*moment: int) -> tuple[int, None]:
    """The fact of a date: microseconds since the epoch of this moment, UTC."""
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1_000_000, None  # type: ignore[misc]


@pytest.mark.parametrize(
    ("value", "fact"),
    [
        ("Delivered", ("delivered", None)),
        ("Not delivered", ("not_delivered", None)),
        ("Waiting", ("waiting", None)),
        ("ko", ("ko", None)),
        ("delivered", ("delivered", None)),
        ("not delivered", ("not_delivered", None)),
        ("waiting", ("waiting", None)),
        ("KO", ("ko", None)),
        ("NOT  Delivered", ("not_delivered", None)),
        ("  delivered \t", ("delivered", None)),
        ("not\u00a0delivered", ("not_delivered", None)),
        ("not\ndelivered", ("not_delivered", None)),
        (None, NO_STATUS),
        ("", OTHER_STATUS),
        (" ", OTHER_STATUS),
        ("not_delivered", OTHER_STATUS),
        ("notdelivered", OTHER_STATUS),
        ("Numéro introuvable", OTHER_STATUS),
        ("Deliverеd", OTHER_STATUS),  # noqa: RUF001  # one letter is Cyrillic
        ("delivered\x00", OTHER_STATUS),
        (True, OTHER_STATUS),
        (0, OTHER_STATUS),
        (1.5, OTHER_STATUS),
        (["Delivered"], OTHER_STATUS),
        ({}, OTHER_STATUS),
    ],
)
def test_status(value: object, fact: values.Fact) -> None:
    """A status word counts in any case and with stray white space; any other value is named as the reason it is."""
    assert fact == values.read_status(value)


@pytest.mark.parametrize(
    ("value", "fact"),
    [
        (False, (False, None)),
        (True, (True, None)),
        (0, (False, None)),
        (1, (True, None)),
        ("0", (False, None)),
        ("1", (True, None)),
        ("true", (True, None)),
        ("false", (False, None)),
        ("True", (True, None)),
        (" FALSE ", (False, None)),
        (None, (False, None)),
        ("", NO_ANSWER),
        ("yes", NO_ANSWER),
        ("2", NO_ANSWER),
        (2, NO_ANSWER),
        (-1, NO_ANSWER),
        (1.0, NO_ANSWER),
        (0.0, NO_ANSWER),
        ("１", NO_ANSWER),  # noqa: RUF001  # full width
        ([], NO_ANSWER),
        ({}, NO_ANSWER),
    ],
)
def test_stop_sms(value: object, fact: values.Fact) -> None:
    """An opt-out is a bool, 0 or 1, either as text, or absent; nothing else is taken for an answer."""
    found = values.read_stop_sms(value)
    assert (fact, type(fact[0])) == (found, type(found[0]))


@pytest.mark.parametrize(
    "value",
    [
        *("+33612345678", "0612345678", "0033612345678", "33612345678", "+330612345678", "+33 0612345678"),
        *("+33 6 12 34 56 78", "06 12 34 56 78", "0033 6 12 34 56 78", "06.12.34.56.78", "06-12-34-56-78"),
        *(
            "+33 (0)6 12 34 56 78",
            "(06) 12345678",
            "06\u00a012\u00a034\u00a056\u00a078",
            "06\u202f12\u202f34\u202f5678",
        ),
        *(" 0612345678 ", "0612345678\n", "\t+33612345678", 33612345678, 612345678),
    ],
)
def test_spellings_of_one_number(value: object) -> None:
    """A French number is the same number in E.164, national, `00`, bare and spaced form, as text or as JSON number."""
    assert values.read_phone_number(value) == ("+33612345678", None)


@pytest.mark.parametrize(
    ("value", "fact"),
    [
        ("+447400123456", ("+447400123456", None)),
        ("00447400123456", ("+447400123456", None)),
        ("+44 7400 123456", ("+447400123456", None)),
        ("+1 (212) 361-0000", ("+12123610000", None)),
        ("+33600000001", ("+33600000001", None)),
        ("+1234567", ("+1234567", None)),  # short, and of no country: a message to a bad number is a row too
        ("+999123456789", ("+999123456789", None)),
        ("+123456789012345", ("+123456789012345", None)),
        ("+33012345", ("+33012345", None)),  # too short to drop its zero: kept as the API gave it
        ("447400123456", NO_NUMBER),  # not French, and without a `+` nobody else's
        ("06 12 34", NO_NUMBER),
        ("06 12 34 56 78 / 07 12 34 56 78", NO_NUMBER),
        ("+1234567890123456", NO_NUMBER),  # 16 digits
        ("+123456", NO_NUMBER),
        ("+0612345678", NO_NUMBER),
        (None, MISSING_NUMBER),
        ("", MISSING_NUMBER),
        (" ", NO_NUMBER),
        ("n/a", NO_NUMBER),
        ("+", NO_NUMBER),
        ("0", NO_NUMBER),
        ("112", NO_NUMBER),
        ("++33612345678", NO_NUMBER),
        ("0800FLOWERS", NO_NUMBER),
        ("+1-800-FLOWERS", NO_NUMBER),
        ("06123456O8", NO_NUMBER),
        ("+33612345678;ext=5", NO_NUMBER),
        ("+33612345678 x5", NO_NUMBER),
        ("tel:+33612345678", NO_NUMBER),
        ("+33612345678\x00", NO_NUMBER),
        ("\u0660\u0666\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668", NO_NUMBER),  # Arabic-Indic digits
        ("\uff10\uff16\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18", NO_NUMBER),  # full width
        ("+33\u0666" + "12345678", NO_NUMBER),
        ("1" * 64, NO_NUMBER),
        ("1" * 1_000_000, NO_NUMBER),
        (10**4000, NO_NUMBER),
        (-33612345678, ("+33612345678", None)),  # a dash is grouping, as in 06-12-34-56-78
        (True, NO_NUMBER),
        (False, NO_NUMBER),
        (33612345678.0, NO_NUMBER),
        (math.nan, NO_NUMBER),
        (["+33612345678"], NO_NUMBER),
        ({"number": "+33612345678"}, NO_NUMBER),
    ],
)
def test_phone_number(value: object, fact: values.Fact) -> None:
    """Numbers of all countries are read; letters, foreign digits, extensions and other types are no numbers."""
    assert fact == values.read_phone_number(value)


@pytest.mark.parametrize(
    ("value", "fact"),
    [
        ("1517989111", at(2018, 2, 7, 7, 38, 31)),
        (1517989111, at(2018, 2, 7, 7, 38, 31)),
        (1517989111.0, at(2018, 2, 7, 7, 38, 31)),
        (" 1517989111 ", at(2018, 2, 7, 7, 38, 31)),
        ("0000001517989111", at(2018, 2, 7, 7, 38, 31)),
        ("", NOTHING),
        (" ", NOTHING),
        ("0", NOTHING),
        (0, NOTHING),
        (0.0, NOTHING),
        (None, NOTHING),
        ("0000-00-00 00:00:00", NOTHING),
        ("2015-02-07 22:39:46", at(2015, 2, 7, 21, 39, 46)),  # winter: UTC+1
        ("2015-07-07 22:39:46", at(2015, 7, 7, 20, 39, 46)),  # summer: UTC+2
        ("2015-02-07T22:39:46", at(2015, 2, 7, 21, 39, 46)),
        ("2024-02-29 00:30:00", at(2024, 2, 28, 23, 30, 0)),
        ("2024-03-31 01:59:59", at(2024, 3, 31, 0, 59, 59)),
        ("2024-03-31 02:30:00", at(2024, 3, 31, 1, 30, 0)),  # this hour was skipped: as if the clock had not moved
        ("2024-03-31 03:00:00", at(2024, 3, 31, 1, 0, 0)),
        ("2024-10-27 01:59:59", at(2024, 10, 26, 23, 59, 59)),
        ("2024-10-27 02:30:00", at(2024, 10, 27, 0, 30, 0)),  # this hour came twice: the first of the two
        ("2024-10-27 03:00:00", at(2024, 10, 27, 2, 0, 0)),
        ("946684800", at(2000, 1, 1)),
        ("946684799", FAR_DATE),
        ("4102444800", at(2100, 1, 1)),
        ("4102444801", FAR_DATE),
        ("1517989111000", FAR_DATE),  # milliseconds
        ("-1", FAR_DATE),
        (-1, FAR_DATE),
        ("1", FAR_DATE),
        ("1970-01-01 01:00:00", FAR_DATE),
        ("2000-01-01 01:00:00", at(2000, 1, 1)),
        ("2000-01-01 00:59:59", FAR_DATE),
        ("9999-12-31 23:59:59", FAR_DATE),
        ("9" * 18, FAR_DATE),
        ("9" * 19, NO_DATE),
        ("9" * 1_000_000, NO_DATE),
        (10**400, NO_DATE),
        ("0001-01-01 00:00:00", NO_DATE),
        ("0000-01-01 00:00:00", NO_DATE),
        ("2023-02-29 00:00:00", NO_DATE),
        ("2024-01-01 24:00:00", NO_DATE),
        ("2024-01-01 12:00:60", NO_DATE),
        ("2024-01-01", NO_DATE),
        ("2024-1-1 12:00:00", NO_DATE),
        ("07/02/2018 08:38:31", NO_DATE),
        ("2024-01-01 12:00:00Z", NO_DATE),
        ("soon", NO_DATE),
        ("1e9", NO_DATE),
        ("1517989111.0", NO_DATE),
        ("+1517989111", NO_DATE),
        ("1517989111\x00", NO_DATE),
        ("\uff11517989111", NO_DATE),
        (True, NO_DATE),
        (False, NO_DATE),
        (1517989111.5, NO_DATE),
        (math.nan, NO_DATE),
        (math.inf, NO_DATE),
        (1e300, NO_DATE),
        (["1517989111"], NO_DATE),
        ({}, NO_DATE),
    ],
)
def test_date(value: object, fact: values.Fact) -> None:
    """Epoch seconds in any type and local French time are dates; what is no moment of a delivery is named so."""
    assert fact == values.read_date(value)


@given(ANYTHING)
@example(10**4000)
@example("\ud800")
def test_any_value_is_a_fact_or_a_reason(value: object) -> None:
    """Whatever the API sends for a field is read as a believable value, as none, or as a documented reason."""
    number, why_number = values.read_phone_number(value)
    status, why_status = values.read_status(value)
    stop, why_stop = values.read_stop_sms(value)
    date, why_date = values.read_date(value)

    assert {why_number, why_status, why_stop, why_date} <= {None, *values.REASONS}
    assert (number is None) == (why_number is not None)
    assert (status is None) == (why_status is not None)
    assert (stop is None) == (why_stop is not None)
    assert date is None or why_date is None
    assert status in {None, *STATUS_WORDS}
    assert stop in {None, True, False}
    assert date is None or values.EARLIEST_SECOND <= int(str(date)) // 1_000_000 <= values.LATEST_SECOND


@given(st.text("+0123456789 .-()/", max_size=20))
def test_numbers_are_e164(text: str) -> None:
    """Whatever is written with digits and grouping is read as E.164, as missing, or as no number."""
    number, reason = values.read_phone_number(text)
    digits = str(number).removeprefix("+")
    assert reason is not None or (str(number)[0] == "+" and digits.isdigit() and 7 <= len(digits) <= 15)


@given(st.integers(values.EARLIEST_SECOND, values.LATEST_SECOND))
def test_epoch_in_every_type(second: int) -> None:
    """A moment between 2000 and 2100 is the same moment as text, as JSON integer and as JSON float."""
    expected = (second * 1_000_000, None)
    assert [expected] * 3 == [values.read_date(value) for value in (str(second), second, float(second))]


def test_every_documented_word_is_read() -> None:
    """The vendor's four words give the contract's four words."""
    assert set(STATUS_WORDS) == {values.read_status(word)[0] for word in vendor.STATUS_WORDS}
