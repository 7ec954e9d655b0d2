"""Great Expectations on typed frames: the same result as the native rules, silent, and without values."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from smspartner.errors import SettingsError, ValidationBroken
from smspartner_pipelines.gx import Engine, start_import
from smspartner_pipelines.suite import Expectation, user_expectations
from smspartner_pipelines.validation import Judgement, Validator
from smspartner_schemas.arrow import arrow_schema, empty_table
from smspartner_schemas.contract import EARLIEST_DATE, LATEST_DATE, PHONE_PATTERNS, STATUS_WORDS, STATUSES
from smspartner_schemas.frames import to_frame
from smspartner_schemas.rules import broken_rules, column_rules, suite

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


def judge(judging: Validator, *tables: pa.Table) -> list[Judgement]:
    """Judge tables, each of which holds one tag, as one batch."""
    return judging.judge_rows(pa.concat_tables(tables), [table.num_rows for table in tables])


def write(path: Path, document: Any) -> Path:
    """Write `document` as JSON."""
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@pytest.fixture
def user(tmp_path: Path):
    """Build a judge by the contract and a user's suite, whose rules are called `rule_1`, `rule_2`, …."""

    def build(*expectations: tuple[str, dict[str, Any]], form: Any = "plain") -> Validator:
        entries = [
            {"type": kind, "kwargs": kwargs, "meta": {"rule": f"rule_{number}"}}
            for number, (kind, kwargs) in enumerate(expectations, 1)
        ]
        return Validator(form, write(tmp_path / "mine.json", {"name": "mine", "expectations": entries}))

    return build


@pytest.fixture(scope="module")
def engine() -> Engine:
    """Import Great Expectations, once."""
    start_import()
    start_import()
    return Engine()


@pytest.fixture(scope="module")
def contract(engine: Engine) -> dict[str, Validator]:
    """One judge by the contract alone per form of phone numbers."""
    return {form: Validator(form) for form in PHONE_PATTERNS}


def test_rows_are_found_in_their_tag(contract):
    """A failing row is named by its index in its own tag's table, with everything it breaks; others are untouched."""
    tables = [
        tag("a", {}, {"status": "lost"}),
        empty_table(STATUSES),
        tag("b", {"country": None, "status_at": None}),
        tag("c", {"occurrence": 0, "country": "fr"}, {}, {"occurrence": 2}),
    ]
    unique = ("primary_key_unique",)
    assert judge(contract["plain"], *tables) == [
        Judgement({1: ("status_in_set",)}),
        Judgement(),
        Judgement(),
        Judgement({0: ("occurrence_between", "country_matches"), 1: unique, 2: unique}),
    ]


TAGS = [
    *("a", "é😀", "x" * 20, "😀" * 21, "", "two words", "x\n", "x\x0b", "\x1cx", "x\x85", "\xa0x", "x\u2028", "\u3000"),
]
PHONES = {
    "plain": ["+33639980001", "+33639980002", "+33639980001\n", "\n+33639980001", "33639980001", "+0639980001", "+33"],
    "masked": ["+33*******01", "+1*********1", "+33*******01\n", "+33639980001"],
    "hashed": ["0123abcd:" + "0f" * 32, "0f" * 31, "0F" * 32, "0123abcd:" + "0f" * 32 + "\n", "+33639980001"],
}
DATES = [
    *(NOW, EARLIEST_DATE, LATEST_DATE, EARLIEST_DATE - MICROSECOND, LATEST_DATE + MICROSECOND),
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
    one = {name: st.sampled_from([*values, None]) for name, values in columns.items()}
    return st.lists(st.fixed_dictionaries({}, optional=one), max_size=12)


@pytest.mark.parametrize("form", PHONE_PATTERNS)
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_both_judge_alike(contract, form, data):
    """Great Expectations and the native rules name the same rows for the same rules, on good and on bad rows."""
    rows = data.draw(rows_of(form))
    table = statuses(*({"phone_number": PHONES[form][0]} | row for row in rows))
    expected: dict[int, tuple[str, ...]] = {}
    for rule, indices in broken_rules(table, column_rules(phone_form=form)).items():
        for index in indices.tolist():
            expected[index] = (*expected.get(index, ()), rule)
    keys = [tuple(row[name] for name in STATUSES.primary_key) for row in table.to_pylist()]
    for index in (index for index, key in enumerate(keys) if keys.count(key) > 1):
        expected[index] = (*expected.get(index, ()), "primary_key_unique")
    assert judge(contract[form], table) == [Judgement(dict(sorted(expected.items())))]


def test_every_value_is_judged_alike(contract):
    """Each odd value of each column is found by both; so are tags and numbers by the suite as others read it."""
    for form in PHONE_PATTERNS:
        rows = [{"tag": word} for word in TAGS] + [{"phone_number": number} for number in PHONES[form]]
        rows += [{"status_at": at} for at in DATES] + [{"extracted_at": at} for at in DATES]
        rows += [{"country": one} for one in ("fr", "FR\n", "ÉÉ")] + [{"run_id": one} for one in ("run\n", "é", "")]
        good = {"phone_number": PHONES[form][0]}
        table = statuses(*(good | {"occurrence": number} | row for number, row in enumerate(rows, 1)))
        native = broken_rules(table, column_rules(phone_form=form))
        found: dict[str, list[int]] = {}
        (judged,) = judge(contract[form], table)
        for index, rules in judged.rows.items():
            for rule in rules:
                found.setdefault(rule, []).append(index)
        assert found == {rule: indices.tolist() for rule, indices in native.items()}
        others = [Expectation(one["meta"]["rule"], one["type"], one["kwargs"]) for one in suite(form)["expectations"]]
        assert {rule: one.rows for rule, one in Engine().failures(to_frame(table), others).items()} == found


# What the user's expectations say

LATER = {"column_A": "extracted_at", "column_B": "status_at", "or_equal": True}
LATER["ignore_row_if"] = "either_value_is_missing"
USERS = (
    ("expect_column_values_to_be_in_set", {"column": "country", "value_set": ["FR"]}),
    ("expect_column_values_to_be_in_set", {"column": "country", "value_set": ["FR"], "mostly": 0.5}),
    ("expect_column_values_to_be_unique", {"column": "phone_number"}),
    ("expect_compound_columns_to_be_unique", {"column_list": ["phone_number", "status"]}),
    ("expect_table_row_count_to_be_between", {"min_value": 2}),
    ("expect_column_distinct_values_to_be_in_set", {"column": "status", "value_set": ["delivered", "waiting"]}),
    ("expect_column_pair_values_a_to_be_greater_than_b", LATER),
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
    Judgement(failed={"rule_5": "at least 2 rows; 1 found"}),
    Judgement(),
    Judgement({0: ("rule_3", "rule_4"), 1: ("rule_7", "rule_3", "rule_4")}, {"rule_6": ""}),
]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_batches_do_not_change_the_meaning(user, engine, size):
    """A tag gets the same judgement whichever tags share its batch."""
    judging = user(*USERS)
    batches = [TABLES[start : start + size] for start in range(0, len(TABLES), size)]
    assert [judgement for batch in batches for judgement in judge(judging, *batch)] == EXPECTED


QUANTILES = {"quantiles": [0.5], "value_ranges": [[1, 9]]}


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        ("expect_column_mean_to_be_between", {"column": "occurrence", "min_value": 0.5}),
        ("expect_column_quantile_values_to_be_between", {"column": "occurrence", "quantile_ranges": QUANTILES}),
        ("expect_column_proportion_of_unique_values_to_be_between", {"column": "phone_number", "min_value": 0.1}),
        ("expect_table_row_count_to_be_between", {"min_value": 1}),
        ("expect_column_values_to_be_in_set", {"column": "country", "value_set": ["FR"], "mostly": 0.9}),
    ],
)
def test_nothing_to_judge_is_no_failure(user, kind, kwargs):
    """A tag without rows fails no expectation on means, quantiles, shares or counts, alone or beside others."""
    judging = user((kind, kwargs))
    assert judge(judging, empty_table(STATUSES)) == [Judgement()]
    assert judge(judging, empty_table(STATUSES), tag("a", {})) == [Judgement(), Judgement()]


def test_no_value_is_repeated(user):
    """Of a tag that fails as a whole a count or a mean is said, never a text: it could be a phone number."""
    judging = user(("expect_column_most_common_value_to_be_in_set", {"column": "phone_number", "value_set": ["x"]}))
    assert judge(judging, tag("a", {})) == [Judgement(failed={"rule_1": ""})]


def test_row_conditions(user):
    """An expectation with a condition judges only the rows it speaks of."""
    condition = {"type": "comparison", "column": {"name": "country"}, "operator": "==", "parameter": "FR"}
    kwargs = {"column": "status", "value_set": ["delivered"], "row_condition": condition}
    table = tag("a", {"status": "ko"}, {"status": "ko", "country": "BE"}, {})
    judging = user(("expect_column_values_to_be_in_set", kwargs))
    assert judge(judging, tag("b", {}), table) == [Judgement(), Judgement({0: ("rule_1",)})]


@pytest.mark.parametrize(
    ("kind", "kwargs", "why"),
    [
        ("expect_nothing", {}, "expect_nothing not found"),
        ("expect_column_values_to_be_in_set", {"column": "status", "value_sets": []}, "extra fields not permitted"),
        ("expect_column_values_to_be_null", {"column": "nope"}, 'The column "nope" in BatchData does not exist'),
        ("expect_column_values_to_be_between", {"column": "phone_number", "min_value": 1}, "must either be None or of"),
        ("expect_column_values_to_be_between", {"column": "status_at", "min_value": "2024-01-01"}, "Invalid compar"),
        ("expect_column_values_to_match_regex", {"column": "country", "regex": "("}, "missing )"),
        ("expect_column_values_to_match_like_pattern", {"column": "tag", "like_pattern": "%"}, "PandasExecutionEngine"),
        ("expect_column_values_to_be_null", {"column": {"$PARAMETER": "x"}}, "x"),
    ],
    ids=range(8),
)
def test_unusable_expectations(user, kind, kwargs, why, capfd):
    """An expectation that can't be used is refused before anything is requested, by its number and type, silently."""
    good = ("expect_table_row_count_to_be_between", {"min_value": 0})
    with pytest.raises(SettingsError) as caught:
        user(good, (kind, kwargs))
    assert str(caught.value).startswith(f"expectation 2 of your suite ({kind}, rule rule_2) can't be used: ")
    assert why in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("form", PHONE_PATTERNS)
def test_a_suite_is_tried_on_ordinary_rows(user, form):
    """A suite that can be used is taken, whatever form the numbers have: the contract's own is one."""
    user(*((one["type"], one["kwargs"]) for one in suite(form)["expectations"]), *USERS, form=form)


def test_an_exception_is_not_bad_data(engine):
    """An expectation that can't be evaluated is an error that names its rule, and repeats no value."""
    for kind in ("expect_column_values_to_be_between", "expect_column_max_to_be_between"):
        one = Expectation("rule_1", kind, {"column": "phone_number", "min_value": 1}, of_user=True)
        with pytest.raises(ValidationBroken) as caught:
            engine.failures(to_frame(tag("a", {})), [one])
        expected = "expectation rule_1 could not be evaluated; check its arguments, or leave it out"
        assert (str(caught.value), caught.value.__cause__, caught.value.__context__) == (expected, None, None)


def test_user_expectations(tmp_path):
    """Expectations are named by `meta.rule`, else by number and type; ids, result formats and numbers are left out."""
    document = {
        "name": "mine",
        "id": None,
        "expectations": [
            {"type": "expect_a", "kwargs": {"column": "tag", "result_format": "COMPLETE"}, "meta": {"rule": "r"}},
            {"type": "expect_b", "kwargs": {}, "id": "4bd3", "severity": "warning", "notes": "…"},
            {"type": "expect_c", "meta": {"rule": "not +33639980001"}},
        ],
    }
    assert user_expectations(write(tmp_path / "suite.json", document)) == [
        Expectation("r", "expect_a", {"column": "tag"}, of_user=True),
        Expectation("expectation_2_expect_b", "expect_b", {}, of_user=True),
        Expectation("not ***", "expect_c", {}, of_user=True),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "is not a suite of Great Expectations 1.x"),
        ('{"name": "x"}', "is not a suite of Great Expectations 1.x"),
        ('{"expectations": [{"expectation_type": "expect_a"}]}', 'expectation 1 .* write "type": "expect_…"'),
        ('{"expectations": [{"kwargs": {}}]}', 'expectation 1 of .* has no "type"'),
        ('{"expectations": [{"type": "a", "kwargs": []}, 1]}', "expectation 2 of "),
        ('{"expectations": [{"type": "a", "kwargs": [1]}]}', '"kwargs" and "meta" are not JSON objects'),
        ('{"expectations": [{"type": "a", "meta": {"rule": "tag_matches"}}]}', "taken already: tag_matches"),
        (
            '{"expectations": [{"type": "a", "meta": {"rule": "x"}}, {"type": "b", "meta": {"rule": "x"}}]}',
            "already: x",
        ),
        ('{"expectations": ["\udcff"]}', "is not JSON"),
        (None, "can't be read: No such file"),
        (Path("/dev/zero"), "is larger than 10,240 KB"),
    ],
    ids=range(14),
)
def test_wrong_files(tmp_path, text, why):
    """A file that is no suite, is not there, or never ends, is refused, saying where and why."""
    path = text if isinstance(text, Path) else tmp_path / "suite.json"
    if isinstance(text, str):
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SettingsError, match=why) as caught:
        user_expectations(path)
    assert str(path) in str(caught.value)


def test_suites_round_trip(engine, tmp_path):
    """Great Expectations reads our suite and writes the same expectations back, and we read what it writes."""
    import great_expectations as gx

    written = gx.ExpectationSuite(**suite()).to_json_dict()
    taken = [{key: entry[key] for key in ("type", "kwargs", "meta")} for entry in written["expectations"]]
    assert (written["name"], taken) == ("statuses", suite()["expectations"])
    mine = gx.ExpectationSuite("mine", [gx.expectations.ExpectTableRowCountToBeBetween(min_value=1)])
    kind = "expect_table_row_count_to_be_between"
    expected = Expectation(f"expectation_1_{kind}", kind, {"min_value": 1}, of_user=True)
    assert user_expectations(write(tmp_path / "mine.json", mine.to_json_dict())) == [expected]


def test_results(user, engine):
    """The run report gets counts per expectation, with column names and no other argument."""
    values = {"column": "phone_number", "value_set": ["+33639980003"]}
    judging = user(
        ("expect_column_values_to_not_be_in_set", values), ("expect_table_row_count_to_be_between", {"min_value": 2})
    )
    judge(judging, tag("a", {"country": "fr"}, {"status": "lost", "phone_number": "+33639980003"}), tag("b", {}))
    judge(judging, tag("c", {}, {}))
    results = judging.results()
    assert results.pop("seconds") > 0
    found = {
        one["rule"]: (one["suite"], one["columns"], one["rows_checked"], one["rows_failed"], one["tags_failed"])
        for one in results.pop("expectations")
    }
    totals = {"batches": 2, "tags": 3, "rows": 5, "rows_failed": 2}
    assert results == {"validate": "gx", "great_expectations_version": engine.version, "success": False, **totals}
    assert found["primary_key_unique"] == ("contract", ["tag", "phone_number", "occurrence"], 5, 0, 0)
    assert found["status_in_set"] == ("contract", ["status"], 5, 1, 0)
    assert found["rule_1"] == ("user", ["phone_number"], 5, 1, 0)
    assert found["rule_2"] == ("user", [], 5, 0, 1)


def test_the_library_is_as_we_need_it(engine):
    """The private switch that spares hashing frames is there, and off; warnings of the process stay ours."""
    from great_expectations.execution_engine import pandas_execution_engine

    assert pandas_execution_engine.HASH_THRESHOLD == 0
    assert warnings.showwarning.__module__ != "logging"


WATCHED = f"""
import datetime, logging, sys
logging.basicConfig(level=logging.DEBUG)
events = []
def audit(event, args):
    writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    if writes or event in ("socket.connect", "socket.getaddrinfo", "os.mkdir", "subprocess.Popen"):
        events.append((event, str(args[:2])))
sys.dont_write_bytecode = True
sys.addaudithook(audit)
import pyarrow as pa
from smspartner_pipelines.gx import start_import
from smspartner_pipelines.validation import Validator
from smspartner_schemas.arrow import arrow_schema, empty_table
from smspartner_schemas.contract import STATUSES
judge = Validator("plain")
judge.judge_rows(empty_table(STATUSES), [0])
judge.results()
assert "great_expectations" not in sys.modules
start_import()
found = judge.judge_rows(pa.Table.from_pylist([{GOOD!r} | {{"status": "lost"}}], schema=arrow_schema(STATUSES)), [1])
assert found[0].rows == {{0: ("status_in_set",)}}, found
assert not {{"scipy.stats._stats_py", "altair.vegalite"}} & sys.modules.keys()  # half of the time of its import
assert not logging.getLogger("great_expectations").isEnabledFor(logging.ERROR)  # what it logs is in the results
"""


def run(code: str, *before: str, **changes: str | None) -> tuple[int, str]:
    """Run `code` in a fresh interpreter; return its exit code and all its output."""
    environment = {name: value for name, value in {**os.environ, **changes}.items() if value is not None}
    command = [*before, sys.executable, "-W", "default", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return done.returncode, done.stdout + done.stderr


def test_silent():
    """Great Expectations is imported only for rows; it prints nothing, opens no connection and writes no file."""
    assert run(WATCHED + "assert not events, events") == (0, "")


def test_without_a_home():
    """A user without a home directory or a name, as in many containers, can validate; nothing stays behind."""
    nobody = ["unshare", "--user", "--map-user=54321"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*nobody, "true"], capture_output=True, check=False).returncode
    ):
        assert run(WATCHED, HOME="~") == (0, "")
    else:
        assert run(WATCHED + "import os; assert 'HOME' not in os.environ", *nobody, HOME=None) == (0, "")
