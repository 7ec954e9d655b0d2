"""The user's own expectations, judged by Great Expectations together with the contract's."""

import json

import pytest
from smspartner_pipelines.sandbox import Campaign
from smspartner_schemas.expectations import suite as contract_suite

ROWS = {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "country", "value_set": ["FR"]}}
TABLE = {
    "type": "expect_table_row_count_to_be_between",
    "kwargs": {"min_value": 2},
    "meta": {"rule": "at_least_two_rows"},
}


@pytest.fixture
def sandbox(start_sandbox, api_row):
    """Serve a tag with a Belgian number among three, and a tag of one row."""
    belgian = api_row(2, phoneNumber="+32470123456")
    return start_sandbox(
        [Campaign.of_rows("mixed", [api_row(1), belgian, api_row(3)]), Campaign.of_rows("single", [api_row(1)])]
    )


@pytest.fixture
def run(sandbox, report, here):
    """Run on both tags with a suite of expectations; give exit code and report."""

    def judged(*expectations, arguments=()):
        (here / "mine.json").write_text(json.dumps({"name": "mine", "expectations": expectations}))
        options = ("--to", "data", "--validate", "gx", "--expectations", "mine.json", *arguments)
        return report(sandbox, "mixed", "single", *options)

    return judged


def judged_by_user(report):
    """Give what the report says of the user's expectations."""
    return [one for one in report["validation"]["expectations"] if one["suite"] == "user"]


def test_failing_rows_go_to_quarantine(run, rows):
    """Rows that fail a row-level expectation go to quarantine, raw, with its name; their neighbours load."""
    code, found = run(ROWS)
    raw = '{"phoneNumber": "+32470123456", "status": "Delivered", "stopSMS": false, "date": "1517989111"}'
    reasons = ["expectation_1_expect_column_values_to_be_in_set"]
    expected = [{"tag": "mixed", "page": 1, "position": 2, "reasons": reasons, "raw": raw}]
    assert (4, expected) == (code, rows("data", "quarantine", without=("extracted_at", "run_id")))
    assert [row["phone_number"] for row in rows("data")] == ["+33639980001", "+33639980003", "+33639980001"]
    assert [(tag["verdict"], tag["rows_loaded"], tag["rows_quarantined"]) for tag in found["tags"]] == [
        ("complete", 2, 1),
        ("complete", 1, 0),
    ]


@pytest.mark.parametrize(("allowed", "expected"), [("0", 4), ("1", 0)])
def test_allow_quarantined(run, allowed, expected):
    """`--allow-quarantined` counts rows that fail the user's expectations like all others."""
    assert expected == run(ROWS, arguments=("--allow-quarantined", allowed))[0]


def test_failing_table_fails_its_tag(run, rows):
    """A tag that fails a table-level expectation is `failed`, with its name; other tags are loaded."""
    code, found = run(TABLE)
    assert (
        code,
        [(tag["tag"], tag["verdict"], tag["reason"]) for tag in found["tags"]],
    ) == (
        3,
        [("mixed", "complete", "all 3 rows on 1 page"), ("single", "failed", "the tag fails at_least_two_rows")],
    )
    assert [row["tag"] for row in rows("data")] == ["mixed"] * 3


def test_failing_table_replaces_nothing(run, sandbox, report, rows):
    """A tag that fails as a whole leaves what was loaded before as it is."""
    report(sandbox, "single", "--to", "data")
    before = rows("data")
    run(TABLE, arguments=("--refresh", "all"))
    assert before == [row for row in rows("data") if row["tag"] == "single"]


def test_report_has_the_results(run):
    """The report says of every expectation, the contract's and the user's, what was checked and what failed."""
    _, found = run(ROWS, TABLE)
    validation = found["validation"]
    assert tuple(validation[name] for name in ("validate", "success", "user_suite", "batches", "tags", "rows")) == (
        "gx",
        False,
        "mine",
        1,
        2,
        4,
    )
    rules = [entry["meta"]["rule"] for entry in contract_suite()["expectations"]]
    assert [*rules, "expectation_1_expect_column_values_to_be_in_set", "at_least_two_rows"] == [
        one["rule"] for one in validation["expectations"]
    ]
    assert judged_by_user(found) == [
        {
            "rule": "expectation_1_expect_column_values_to_be_in_set",
            "suite": "user",
            "expectation": "expect_column_values_to_be_in_set",
            "columns": ["country"],
            "success": False,
            "rows_checked": 4,
            "rows_failed": 1,
            "tags_failed": 0,
        },
        {
            "rule": "at_least_two_rows",
            "suite": "user",
            "expectation": "expect_table_row_count_to_be_between",
            "columns": [],
            "success": False,
            "rows_checked": 4,
            "rows_failed": 0,
            "tags_failed": 1,
        },
    ]


def test_skipping_is_said(sandbox, report):
    """`--validate contract` leaves Great Expectations out, and the report says so."""
    _, found = report(sandbox, "mixed", "--to", "data", "--validate", "contract")
    expected = {"validate": "contract", "success": True, "note": "Great Expectations was skipped, as asked for"}
    assert expected == found["validation"]


def test_process_prints_nothing_of_the_library(sandbox, smspartner, here):
    """In a process of its own, validation by Great Expectations prints no word beside the product's own."""
    (here / "mine.json").write_text(json.dumps({"name": "mine", "expectations": [ROWS]}))
    given = ("--validate", "gx", "--expectations", "mine.json", "--quiet")
    ended = smspartner(sandbox, "run", "single", "--to", "data", *given)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert sorted(path.name for path in here.iterdir()) == ["data", "mine.json"]
