"""The user's own expectations, judged by Great Expectations together with the contract's."""

import json

import pytest
from smspartner_pipelines.sandbox import Campaign

ROWS = {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "country", "value_set": ["FR"]}}
BY_ROW = "expectation_1_expect_column_values_to_be_in_set"
TABLE = {
    "type": "expect_table_row_count_to_be_between",
    "kwargs": {"min_value": 2},
    "meta": {"rule": "at_least_two_rows"},
}


@pytest.fixture
def sandbox(start_sandbox, api_row):
    """Serve a tag with a Belgian number among three, a tag of one row, and one that has none."""
    belgian = api_row(2, phoneNumber="+32470123456")
    mixed = Campaign.of_rows("mixed", [api_row(1), belgian, api_row(3)])
    return start_sandbox([mixed, Campaign.of_rows("single", [api_row(1)]), Campaign.of_rows("empty", [])])


@pytest.fixture
def run(sandbox, report, here):
    """Run on all tags with a suite of expectations; give exit code and report."""

    def judged(*expectations, arguments=()):
        (here / "mine.json").write_text(json.dumps({"name": "mine", "expectations": expectations}))
        options = ("--to", "data", "--validate", "gx", "--expectations", "mine.json", *arguments)
        return report(sandbox, "mixed", "single", "empty", *options)

    return judged


def test_failing_rows_go_to_quarantine(run, rows):
    """Rows that fail a row-level expectation go to quarantine, raw, with its name; their neighbours load."""
    code, found = run(ROWS)
    raw = '{"phoneNumber": "+32470123456", "status": "Delivered", "stopSMS": false, "date": "1517989111"}'
    expected = [{"tag": "mixed", "page": 1, "position": 2, "reasons": [BY_ROW], "raw": raw}]
    assert (4, expected) == (code, rows("data", "quarantine", without=("extracted_at", "run_id")))
    assert [row["phone_number"] for row in rows("data")] == ["+33639980001", "+33639980003", "+33639980001"]
    assert [(tag["verdict"], tag["rows_loaded"], tag["rows_quarantined"]) for tag in found["tags"]] == [
        ("complete", 2, 1),
        ("complete", 1, 0),
        ("complete", 0, 0),
    ]
    validation = found["validation"]
    facts = [validation[name] for name in ("validate", "success", "batches", "tags", "rows")]
    assert facts == ["gx", False, 1, 3, 4]
    failed = {one["rule"]: one["rows_failed"] for one in validation["expectations"] if one["rows_failed"]}
    assert failed == {BY_ROW: 1}
    assert run(ROWS, arguments=("--allow-quarantined", "1", "--refresh", "all"))[0] == 0


def test_failing_table_fails_its_tag(run, sandbox, report, rows):
    """A tag that fails a table-level expectation is `failed` and replaces nothing; one without rows fails nothing."""
    report(sandbox, "single", "--to", "data")
    before = rows("data")
    code, found = run(TABLE, arguments=("--refresh", "all"))
    assert (code, [(tag["tag"], tag["verdict"]) for tag in found["tags"]]) == (
        3,
        [("mixed", "complete"), ("single", "failed"), ("empty", "complete")],
    )
    assert found["tags"][1]["reason"] == "the tag fails at_least_two_rows"
    assert before == [row for row in rows("data") if row["tag"] == "single"]


def test_skipping_is_said(sandbox, report):
    """`--validate contract` leaves Great Expectations out, and the report says so."""
    _, found = report(sandbox, "mixed", "--to", "data", "--validate", "contract")
    note = "Great Expectations was left out, as asked for"
    assert found["validation"] == {"validate": "contract", "success": True, "note": note}


def test_process_prints_nothing_of_the_library(sandbox, smspartner, here):
    """In a process of its own, validation by Great Expectations prints no word beside the product's own."""
    (here / "mine.json").write_text(json.dumps({"name": "mine", "expectations": [ROWS]}))
    given = ("--validate", "gx", "--expectations", "mine.json", "--quiet")
    ended = smspartner(sandbox, "run", "single", "--to", "data", *given)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert sorted(path.name for path in here.iterdir()) == ["data", "mine.json"]
