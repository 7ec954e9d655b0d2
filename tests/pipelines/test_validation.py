"""Great Expectations on typed frames: same verdicts as the native rules, silent, and without values."""

import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from smspartner.errors import SettingsError, ValidationBroken
from smspartner_pipelines.gx import Engine
from smspartner_pipelines.validation import Judgement, UserSuite, Validator, load_user_suite, start_import
from smspartner_schemas.arrow import arrow_schema, empty_table
from smspartner_schemas.contract import EARLIEST_DATE, LATEST_DATE, PHONE_PATTERNS, STATUS_WORDS, STATUSES
from smspartner_schemas.expectations import suite
from smspartner_schemas.frames import to_frame
from smspartner_schemas.rules import broken_rules, row_rules

NOW = datetime(2024, 11, 29, 8, 30, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
GOOD = {
    "tag": "promo-nov",
    "phone_number": "+33639980001",
    "occurrence": 1,
    "country": "FR",
    "status": "delivered",
    "stop_sms": False,
    "status_at": NOW,
    "extracted_at": NOW,
    "run_id": "20241129T083000Z-0a1b",
}


def statuses(*rows: dict[str, Any]) -> pa.Table:
    """Build a table of `statuses`: each row is given as what differs from a good one."""
    return pa.Table.from_pylist([GOOD | row for row in rows], schema=arrow_schema(STATUSES))


def tag(name: str, *rows: dict[str, Any]) -> pa.Table:
    """Build one tag's table; its rows are occurrences 1, 2, …."""
    return statuses(*({"tag": name, "occurrence": number} | row for number, row in enumerate(rows, 1)))


def user(*expectations: tuple[str, dict[str, Any]]) -> UserSuite:
    """Build a user's suite, whose rules are called `rule_1`, `rule_2`, …."""
    entries = [
        {"type": kind, "kwargs": kwargs, "meta": {"rule": f"rule_{number}"}}
        for number, (kind, kwargs) in enumerate(expectations, 1)
    ]
    return UserSuite("mine", tuple(entries))


@pytest.fixture(scope="module")
def engine() -> Engine:
    """Import Great Expectations, once."""
    start_import()
    start_import()
    return Engine()


@pytest.fixture(scope="module")
def contract(engine: Engine) -> dict[str, Validator]:
    """One validator of the contract per form of phone numbers."""
    return {form: Validator(form) for form in PHONE_PATTERNS}


# What the contract says of rows


def test_good_tags(contract):
    """Tags that keep to the contract are judged good, empty ones too."""
    tables = [tag("a", {}, {"country": None, "status_at": None}), empty_table(STATUSES), tag("b", {})]
    assert contract["plain"].judge(tables) == [Judgement(), Judgement(), Judgement()]
    assert contract["plain"].judge([]) == []


def test_bad_rows_are_found_in_their_tag(contract):
    """A failing row is named by its index in its own tag's table, with everything it breaks; others are untouched."""
    tables = [
        tag("a", {}, {"status": "lost"}),
        empty_table(STATUSES),
        tag("b", {}),
        tag("c", {"occurrence": 0, "country": "fr"}, {}, {"occurrence": 2}),
    ]
    assert contract["plain"].judge(tables) == [
        Judgement({1: ("status_in_set",)}),
        Judgement(),
        Judgement(),
        Judgement(
            {0: ("occurrence_between", "country_matches"), 1: ("primary_key_unique",), 2: ("primary_key_unique",)}
        ),
    ]


TAGS = [
    "a",
    "é😀",
    "x" * 20,
    "😀" * 21,
    "",
    "two words",
    "x\n",
    "x\x0b",
    "\x1cx",
    "x\x85",
    "\xa0x",
    "x\u2028",
    "\u3000",
]
PHONES = {
    "plain": ["+33639980001", "+33639980002", "+33639980001\n", "\n+33639980001", "33639980001", "+0639980001", "+33"],
    "masked": ["+33*******01", "+1*********1", "+33*******01\n", "+33639980001"],
    "hashed": ["0f" * 32, "0f" * 31, "0F" * 32, "0f" * 32 + "\n", "+33639980001"],
}
DATES = [
    NOW,
    EARLIEST_DATE,
    LATEST_DATE,
    EARLIEST_DATE - MICROSECOND,
    LATEST_DATE + MICROSECOND,
    datetime(1, 1, 1, tzinfo=UTC),
]


def rows_of(form: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Generate rows in which any column may be good, bad or null."""
    columns = {
        "tag": TAGS,
        "phone_number": [*PHONES[form], "", "+3363998000٨"],
        "occurrence": [1, 2, 3, 0, -1],
        "country": ["FR", "BE", "fr", "FRA", "FR\n", "ÉÉ", ""],
        "status": [*STATUS_WORDS, "Delivered", "delivered\n", "lost", ""],
        "stop_sms": [True, False],
        "status_at": DATES,
        "extracted_at": DATES,
        "run_id": ["20241129T083000Z-0a1b", "run 1", "run_1", "run\n", "é", ""],
    }
    return st.lists(
        st.fixed_dictionaries(
            {}, optional={name: st.sampled_from([*values, None]) for name, values in columns.items()}
        ),
        max_size=12,
    )


@pytest.mark.parametrize("form", PHONE_PATTERNS)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_both_judge_alike(contract, form, data):
    """Great Expectations and the native rules name the same rows for the same rules, on good and on bad rows."""
    rows = data.draw(rows_of(form))
    table = statuses(*({"phone_number": PHONES[form][0]} | row for row in rows))
    expected: dict[int, tuple[str, ...]] = {}
    for rule, indices in broken_rules(table, row_rules(phone_form=form)).items():
        for index in indices.tolist():
            expected[index] = (*expected.get(index, ()), rule)
    assert contract[form].judge([table]) == [Judgement(dict(sorted(expected.items())))]


def test_portable_regexes_judge_alike(engine, contract):
    """The suite as it is written for others, whose regexes Java reads too, finds the rows that we find."""
    rows = [{"tag": word} for word in TAGS] + [{"phone_number": number} for number in PHONES["plain"]]
    table = statuses(*({"occurrence": number} | row for number, row in enumerate(rows, 1)))
    built = [engine.build(entry["type"], entry["kwargs"], entry["meta"]["rule"]) for entry in suite()["expectations"]]
    found = {verdict.rule: list(verdict.rows) for verdict in engine.broken(to_frame(table), built)}
    assert found == {name: rows.tolist() for name, rows in broken_rules(table, row_rules()).items()}
    assert set(found) == {"tag_matches", "phone_number_matches"}


# What the user's expectations say


USERS = user(
    ("expect_column_values_to_be_in_set", {"column": "country", "value_set": ["FR"]}),
    ("expect_column_values_to_be_in_set", {"column": "country", "value_set": ["FR"], "mostly": 0.5}),
    ("expect_column_values_to_be_unique", {"column": "phone_number"}),
    ("expect_compound_columns_to_be_unique", {"column_list": ["phone_number", "status"]}),
    ("expect_table_row_count_to_be_between", {"min_value": 2}),
    ("expect_column_distinct_values_to_be_in_set", {"column": "status", "value_set": ["delivered", "waiting"]}),
    (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {
            "column_A": "extracted_at",
            "column_B": "status_at",
            "or_equal": True,
            "ignore_row_if": "either_value_is_missing",
        },
    ),
    ("expect_column_unique_value_count_to_be_between", {"column": "tag", "max_value": 1}),
)
TABLES = [
    tag("a", {}, {"phone_number": "+33639980002", "status": "waiting", "status_at": None}),
    tag("b", {"country": "BE"}, {"country": "BE", "phone_number": "+33639980002"}, {"phone_number": "+33639980003"}),
    tag("c", {}),
    empty_table(STATUSES),
    tag("d", {"status": "ko"}, {"status": "ko", "status_at": NOW + MICROSECOND}),
]
EXPECTED = [
    Judgement(),
    Judgement({0: ("rule_1", "rule_2"), 1: ("rule_1", "rule_2")}),
    Judgement(failed=("rule_5",)),
    Judgement(failed=("rule_5",)),
    Judgement({0: ("rule_3", "rule_4"), 1: ("rule_7", "rule_3", "rule_4")}, ("rule_6",)),
]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_batches_do_not_change_the_meaning(engine, size):
    """A tag gets the same judgement whichever tags share its batch."""
    validator = Validator(user_suite=USERS)
    batches = [TABLES[start : start + size] for start in range(0, len(TABLES), size)]
    assert [judgement for batch in batches for judgement in validator.judge(batch)] == EXPECTED


def test_row_conditions(engine):
    """An expectation with a condition judges only the rows it speaks of."""
    condition = {"type": "comparison", "column": {"name": "country"}, "operator": "==", "parameter": "FR"}
    kwargs = {"column": "status", "value_set": ["delivered"], "row_condition": condition}
    validator = Validator(user_suite=user(("expect_column_values_to_be_in_set", kwargs)))
    validator.check_user_suite()
    table = tag("a", {"status": "ko"}, {"status": "ko", "country": "BE"}, {})
    assert validator.judge([tag("b", {}), table]) == [Judgement(), Judgement({0: ("rule_1",)})]


@pytest.mark.parametrize(
    ("kind", "kwargs", "why"),
    [
        ("expect_nothing", {}, "expect_nothing not found"),
        ("expect_column_values_to_be_in_set", {"column": "status", "value_sets": []}, "extra fields not permitted"),
        ("expect_column_values_to_be_null", {"column": "nope"}, 'The column "nope" in BatchData does not exist'),
        ("expect_column_values_to_be_between", {"column": "phone_number", "min_value": 1}, "must either be None or of"),
        (
            "expect_column_values_to_be_between",
            {"column": "status_at", "min_value": "2024-01-01"},
            "Invalid comparison",
        ),
        ("expect_column_values_to_match_regex", {"column": "country", "regex": "("}, "missing )"),
        ("expect_column_values_to_match_like_pattern", {"column": "tag", "like_pattern": "%"}, "PandasExecutionEngine"),
        ("expect_column_values_to_be_null", {"column": {"$PARAMETER": "x"}}, "x"),
    ],
    ids=range(8),
)
def test_unusable_expectations(engine, kind, kwargs, why, capfd):
    """An expectation that can't be used is refused before anything is requested, by its number and type, silently."""
    good = ("expect_table_row_count_to_be_between", {"min_value": 0})
    with pytest.raises(SettingsError) as caught:
        Validator(user_suite=user(good, (kind, kwargs))).check_user_suite()
    assert str(caught.value).startswith(f"expectation 2 of your suite ({kind}, rule rule_2) can't be used: ")
    assert why in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_usable_suites(engine):
    """A suite that can be used passes the check, whatever its verdict on made-up rows is."""
    for form in PHONE_PATTERNS:
        Validator(form, USERS).check_user_suite()
    Validator().check_user_suite()


def test_made_up_rows_keep_to_the_contract(engine):
    """The rows that a user's suite is tried on are ordinary ones: the contract's own rules pass on them."""
    for form in PHONE_PATTERNS:
        rules = [(entry["type"], entry["kwargs"]) for entry in suite(form)["expectations"]]
        Validator(form, user(*rules)).check_user_suite()


@pytest.mark.parametrize("kind", ["expect_column_values_to_be_between", "expect_column_max_to_be_between"])
def test_an_exception_is_not_bad_data(engine, kind):
    """An expectation that can't be evaluated is an error that names its rule, and repeats no value."""
    validator = Validator(user_suite=user((kind, {"column": "phone_number", "min_value": 1})))
    with pytest.raises(ValidationBroken) as caught:
        validator.judge([tag("a", {})])
    expected = "expectation rule_1 could not be evaluated (TypeError); check its arguments, or leave it out"
    assert (str(caught.value), caught.value.__cause__, caught.value.__context__) == (expected, None, None)


# The user's file


def write(path, document: Any):
    """Write `document` as JSON."""
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_load_user_suite(tmp_path):
    """Expectations are named by `meta.rule`, else by number and type; ids and result formats are left out."""
    document = {
        "name": "mine",
        "id": None,
        "expectations": [
            {"type": "expect_a", "kwargs": {"column": "tag", "result_format": "COMPLETE"}, "meta": {"rule": "r"}},
            {"type": "expect_b", "kwargs": {}, "id": "4bd3", "severity": "warning", "notes": "…"},
            {"type": "expect_c", "meta": None},
        ],
    }
    assert load_user_suite(write(tmp_path / "suite.json", document)) == UserSuite(
        "mine",
        (
            {"type": "expect_a", "kwargs": {"column": "tag"}, "meta": {"rule": "r"}},
            {"type": "expect_b", "kwargs": {}, "meta": {"rule": "expectation_2_expect_b"}},
            {"type": "expect_c", "kwargs": {}, "meta": {"rule": "expectation_3_expect_c"}},
        ),
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no JSON"),
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "is no suite as Great Expectations 1.x writes it"),
        ('{"name": "x"}', "is no suite as Great Expectations 1.x writes it"),
        (
            '{"expectations": [{"expectation_type": "expect_a"}]}',
            'expectation 1 .* write "type", not "expectation_type"',
        ),
        ('{"expectations": [{"kwargs": {}}]}', 'expectation 1 of the suite .* has no "type"'),
        ('{"expectations": [{"type": "a", "kwargs": []}, 1]}', "expectation 2 of the suite"),
        ('{"expectations": [{"type": "a", "kwargs": [1]}]}', '"kwargs" and "meta" must be JSON objects'),
        ('{"expectations": [{"type": "a", "meta": {"rule": "tag_matches"}}]}', "a name that is taken: tag_matches"),
        ('{"expectations": [{"type": "a", "meta": {"rule": "x"}}, {"type": "b", "meta": {"rule": "x"}}]}', "taken: x"),
        ('{"expectations": ["\udcff"]}', "is no JSON"),
    ],
    ids=range(12),
)
def test_wrong_files(tmp_path, text, why):
    """A file that is no suite is refused, saying where and why."""
    path = tmp_path / "suite.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SettingsError, match=why) as caught:
        load_user_suite(path)
    assert str(path) in str(caught.value)


def test_no_file(tmp_path):
    """A file that is not there is refused with its path."""
    with pytest.raises(SettingsError, match=r"can't read the suite .*nothing\.json: No such file"):
        load_user_suite(tmp_path / "nothing.json")


def test_suites_round_trip(engine, tmp_path):
    """Great Expectations reads our suite and writes the same expectations back, and we read what it writes."""
    import great_expectations as gx

    loaded = gx.ExpectationSuite(**suite())
    written = loaded.to_json_dict()
    taken = [{key: entry[key] for key in ("type", "kwargs", "meta")} for entry in written["expectations"]]
    assert (written["name"], taken) == ("statuses", suite()["expectations"])
    mine = gx.ExpectationSuite("mine", [gx.expectations.ExpectTableRowCountToBeBetween(min_value=1)])
    found = load_user_suite(write(tmp_path / "mine.json", mine.to_json_dict()))
    kind = "expect_table_row_count_to_be_between"
    entry = {"type": kind, "kwargs": {"min_value": 1}, "meta": {"rule": f"expectation_1_{kind}"}}
    assert found == UserSuite("mine", (entry,))


# What is said of it


def test_results(engine):
    """The run report gets counts per expectation, with column names and no other argument."""
    values = {"column": "phone_number", "value_set": ["+33639980003"]}
    validator = Validator(
        user_suite=user(
            ("expect_column_values_to_not_be_in_set", values),
            ("expect_table_row_count_to_be_between", {"min_value": 2}),
        )
    )
    validator.judge([tag("a", {}, {"status": "lost", "phone_number": "+33639980003"}), tag("b", {})])
    validator.judge([tag("c", {}, {})])
    results = validator.results()
    assert results.pop("seconds") > 0
    by_rule = {entry.pop("rule"): entry for entry in results.pop("expectations")}
    assert results == {
        "great_expectations_version": engine.version,
        "success": False,
        "user_suite": "mine",
        "batches": 2,
        "tags": 3,
        "rows": 5,
    }
    counts = {"rows_checked": 5, "rows_failed": 0, "tags_failed": 0}
    assert by_rule["primary_key_unique"] == {
        "suite": "contract",
        "expectation": "expect_compound_columns_to_be_unique",
        "columns": ["tag", "phone_number", "occurrence"],
        "success": True,
        **counts,
    }
    assert by_rule["rule_1"] == {
        "suite": "user",
        "expectation": "expect_column_values_to_not_be_in_set",
        "columns": ["phone_number"],
        "success": False,
        **counts | {"rows_failed": 1},
    }
    assert by_rule["rule_2"] == {
        "suite": "user",
        "expectation": "expect_table_row_count_to_be_between",
        "columns": [],
        "success": False,
        **counts | {"tags_failed": 1},
    }
    assert not by_rule["status_in_set"]["success"]


def test_no_phone_number_in_results(engine):
    """Neither judgements nor results hold a phone number, however many rows fail."""
    numbers = [f"+336399800{number:02}" for number in range(50)]
    values = {"column": "phone_number", "value_set": numbers}
    validator = Validator(user_suite=user(("expect_column_values_to_not_be_in_set", values)))
    judgements = validator.judge([tag("a", *({"phone_number": number, "status": "lost"} for number in numbers))])
    assert judgements == [Judgement(dict.fromkeys(range(50), ("status_in_set", "rule_1")))]
    said = repr(judgements) + json.dumps(validator.results())
    assert [number for number in numbers if number[1:] in said] == []


# The library, kept in its place


def test_fingerprint_is_off(engine):
    """The private switch that spares hashing every frame twice is still there, and off; this test notices its end."""
    from great_expectations.execution_engine import pandas_execution_engine

    assert pandas_execution_engine.HASH_THRESHOLD == 0


def test_works_without_the_private_switch(engine, monkeypatch):
    """A library without that switch is used as it is."""
    from great_expectations.execution_engine import pandas_execution_engine

    monkeypatch.delattr(pandas_execution_engine, "HASH_THRESHOLD")
    Engine()
    assert not hasattr(pandas_execution_engine, "HASH_THRESHOLD")


def test_warnings_and_logs_stay_ours(engine):
    """The library neither sends the process's warnings to the logs, nor logs itself."""
    assert warnings.showwarning.__module__ != "logging"
    assert not logging.getLogger("great_expectations").isEnabledFor(logging.ERROR)


def run(code: str) -> Sequence[str]:
    """Run `code` in a fresh interpreter; return its output and what went to stderr."""
    done = subprocess.run([sys.executable, "-W", "default", "-c", code], capture_output=True, text=True, check=False)
    return done.stdout, done.stderr


PRELUDE = """
import logging, sys
logging.basicConfig(level=logging.DEBUG)
events = []
def audit(event, args):
    writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    if writes or event in ("socket.connect", "socket.getaddrinfo", "os.mkdir", "subprocess.Popen"):
        events.append((event, str(args[:2])))
sys.dont_write_bytecode = True
sys.addaudithook(audit)
import pyarrow as pa
from smspartner_pipelines.validation import UserSuite, Validator, start_import
from smspartner_schemas.arrow import arrow_schema, empty_table
from smspartner_schemas.contract import STATUSES
"""


def test_silent():
    """A run's validation prints nothing, opens no connection, starts no program and writes no file."""
    code = f"""{PRELUDE}
import datetime
row = {GOOD!r} | {{"status": "lost"}}
rule = {{"type": "expect_column_values_to_match_regex", "kwargs": {{"column": "tag", "regex": "(a)(b)"}}}}
start_import()
validator = Validator(user_suite=UserSuite("mine", (rule | {{"meta": {{"rule": "mine"}}}},)))
validator.check_user_suite()
judged = validator.judge([pa.Table.from_pylist([row], schema=arrow_schema(STATUSES))])
assert judged[0].rows == {{0: ("status_in_set", "mine")}}, judged
assert not events, events
"""
    assert run(code) == ("", "")


def test_imported_only_when_needed():
    """Great Expectations is imported only when there is something to validate."""
    code = f"""{PRELUDE}
validator = Validator()
validator.check_user_suite()
validator.judge([empty_table(STATUSES)])
validator.results()
assert "great_expectations" not in sys.modules
"""
    assert run(code) == ("", "")
