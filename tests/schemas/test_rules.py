"""The row rules: their names, and what they find natively."""

import json
import re
import sys
from datetime import timedelta

import pyarrow as pa
import pytest
from smspartner_schemas.arrow import empty_table
from smspartner_schemas.contract import (
    CONTRACT_VERSION,
    EARLIEST_DATE,
    LATEST_DATE,
    PHONE_PATTERNS,
    STATUSES,
    TABLES,
    TAG_RUNS,
)
from smspartner_schemas.rules import Between, Matches, NotNull, broken_rules, column_rules, suite

RULES = [
    *("tag_not_null", "tag_matches", "phone_number_not_null", "phone_number_matches", "occurrence_not_null"),
    *("occurrence_between", "country_matches", "status_not_null", "status_in_set", "stop_sms_not_null"),
    *("status_at_between", "extracted_at_not_null", "extracted_at_between", "run_id_not_null", "run_id_matches"),
]
MICROSECOND = timedelta(microseconds=1)


def broken(table: pa.Table, rules=None) -> dict[str, list[int]]:
    """Return what `broken_rules` finds, as lists."""
    return {name: rows.tolist() for name, rows in broken_rules(table, rules or column_rules()).items()}


def test_names_are_stable():
    """Reports and quarantine reasons can be keyed by the rules' names."""
    assert [rule.name for rule in column_rules()] == RULES
    assert [one["meta"]["rule"] for one in suite()["expectations"]] == [
        "columns_in_order",
        *RULES,
        "primary_key_unique",
    ]


def test_good_rows_break_nothing(statuses):
    """Rows of the contract break no rule, whatever is null that may be, nor do its bounds, nor zero rows."""
    bounds = ({"occurrence": 3, "status_at": EARLIEST_DATE}, {"occurrence": 4, "status_at": LATEST_DATE})
    assert broken(statuses({}, {"occurrence": 2, "country": None, "status_at": None}, *bounds)) == {}
    assert broken(empty_table(STATUSES)) == {}


@pytest.mark.parametrize(
    ("bad", "rules"),
    [
        ({"tag": None}, ["tag_not_null"]),
        ({"tag": "two words"}, ["tag_matches"]),
        ({"tag": "x" * 21}, ["tag_matches"]),
        ({"tag": ""}, ["tag_matches"]),
        ({"phone_number": None}, ["phone_number_not_null"]),
        ({"phone_number": "0639980001"}, ["phone_number_matches"]),
        ({"phone_number": "+33639980001\n"}, ["phone_number_matches"]),
        ({"occurrence": None}, ["occurrence_not_null"]),
        ({"occurrence": 0}, ["occurrence_between"]),
        ({"country": "fr"}, ["country_matches"]),
        ({"status": None}, ["status_not_null"]),
        ({"status": "Delivered"}, ["status_in_set"]),
        ({"stop_sms": None}, ["stop_sms_not_null"]),
        ({"status_at": EARLIEST_DATE - MICROSECOND}, ["status_at_between"]),
        ({"status_at": LATEST_DATE + MICROSECOND}, ["status_at_between"]),
        ({"extracted_at": None}, ["extracted_at_not_null"]),
        ({"extracted_at": LATEST_DATE + MICROSECOND}, ["extracted_at_between"]),
        ({"run_id": None}, ["run_id_not_null"]),
        ({"run_id": "run 1"}, ["run_id_matches"]),
        ({"status": "lost", "occurrence": -1}, ["occurrence_between", "status_in_set"]),
    ],
    ids=str,
)
def test_one_bad_row(statuses, bad, rules):
    """A row that breaks the contract is found by exactly the rules it breaks."""
    assert broken(statuses({}, {"occurrence": 2} | bad)) == {rule: [1] for rule in rules}


def test_chunks_and_slices(statuses):
    """Rows are numbered through the whole table, however it is chunked, sliced or encoded."""
    table = pa.concat_tables(
        [statuses({}, {"status": "lost"}, {"tag": "b"})[1:], statuses({"tag": "c", "status": "?"})]
    )
    assert broken(table) == {"status_in_set": [0, 2]}
    assert broken(table.combine_chunks()) == {"status_in_set": [0, 2]}


def test_odd_dictionaries(statuses):
    """A null or a bad word in the dictionary counts only for rows that point at it."""
    words = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int32()), pa.array(["ko", None, "lost"]))
    table = statuses({}, {"occurrence": 2}, {"occurrence": 3}).set_column(4, "status", words)
    assert broken(table) == {"status_not_null": [1, 2]}


@pytest.mark.parametrize(
    ("form", "good"),
    [("plain", "+33639980001"), ("masked", "+33*******01"), ("hashed", "0123abcd:" + "0f" * 32)],
)
def test_phone_forms(statuses, form, good):
    """A phone number must have the form that was asked for, and only that one."""
    table = statuses({"phone_number": good})
    found = {other: list(broken(table, column_rules(phone_form=other))) for other in PHONE_PATTERNS}
    assert found == {other: [] if other == form else ["phone_number_matches"] for other in PHONE_PATTERNS}


def test_white_space_of_any_script():
    """A tag is 1 to 20 characters but what Python calls white space; Arrow and Python's `re` judge all alike."""
    rule = Matches("tag", STATUSES["tag"].pattern)
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
    found = rule.violations(pa.table({"tag": characters}))
    white = [character for character in characters if re.match(r"\s", character)]
    assert [character for character, bad in zip(characters, found, strict=True) if bad] == white
    regex = re.compile(rule.expectation()["kwargs"]["regex"])
    assert [character for character in characters if not regex.search(character)] == white
    for tag in ("é" * 20, "😀" * 20, "😀" * 21, "x\n", "\nx", "x\ny", "x\r\n", "x ", " x", "", "x"):
        valid = re.fullmatch(STATUSES["tag"].pattern, tag) is not None
        assert (not rule.violations(pa.table({"tag": [tag]}))[0], regex.search(tag) is not None) == (valid, valid)


def test_expectations():
    """Each rule states its expectation in Great Expectations' words, with its name in `meta`."""
    assert NotNull("tag").expectation() == {
        "type": "expect_column_values_to_not_be_null",
        "kwargs": {"column": "tag"},
        "meta": {"rule": "tag_not_null"},
    }
    assert Between("status_at", EARLIEST_DATE, None).expectation()["kwargs"] == {
        "column": "status_at",
        "min_value": "2000-01-01T00:00:00+00:00",
    }


def test_other_tables():
    """The rules of every table can be checked."""
    for table in TABLES:
        assert broken(empty_table(table), column_rules(table)) == {}
    assert "rows_declared_not_null" not in [rule.name for rule in column_rules(TAG_RUNS)]


@pytest.mark.parametrize("form", PHONE_PATTERNS)
def test_suite_is_the_rules(form):
    """The suite says what the rules say, after stating the columns; JSON keeps it, and its rule names are unique."""
    columns = {
        "type": "expect_table_columns_to_match_ordered_list",
        "kwargs": {"column_list": list(STATUSES.column_names)},
        "meta": {"rule": "columns_in_order"},
    }
    unique = {
        "type": "expect_compound_columns_to_be_unique",
        "kwargs": {"column_list": ["tag", "phone_number", "occurrence"], "ignore_row_if": "never"},
        "meta": {"rule": "primary_key_unique"},
    }
    assert json.loads(json.dumps(suite(form))) == {
        "name": "statuses",
        "expectations": [columns, *(rule.expectation() for rule in column_rules(phone_form=form)), unique],
        "meta": {"contract_version": CONTRACT_VERSION, "phone_numbers": form},
    }
