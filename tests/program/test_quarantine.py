"""`smspartner quarantine`: what is doubted and why, without showing it; and the way back."""

import json
import re

import pytest
from smspartner_pipelines.sandbox import Campaign

VARYING = ("run_id", "extracted_at")
NOT_SFR = {
    "type": "expect_column_values_to_not_match_regex",
    "kwargs": {"column": "phone_number", "regex": "1$"},
    "meta": {"rule": "no_ones"},
}


@pytest.fixture
def suite(here):
    """Write a suite that doubts numbers ending in 1."""
    (here / "mine.json").write_text(json.dumps({"name": "mine", "expectations": [NOT_SFR]}))
    return ("--validate", "gx", "--expectations", "mine.json")


@pytest.fixture
def sandbox(start_sandbox, api_row):
    """Serve tags with rows to doubt and one without, two rows on a page."""
    promo = [api_row(1), api_row(2), api_row(1), api_row(3, status="?"), api_row(4, phoneNumber="n/a", status="?")]
    return start_sandbox(
        [
            Campaign.of_rows("promo", promo),
            Campaign.of_rows("[b]other[/b]", [api_row(1, date="soon"), api_row(2)]),
            Campaign.of_rows("sound", [api_row(2)]),
        ],
        page_size=2,
    )


TAGS = ("promo", "[b]other[/b]", "sound")


def table(text):
    """Split a printed table into its cells."""
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


def test_list(sandbox, command, suite):
    """Reasons are counted tag by tag, with the place of the first row and what the reason means; no number is shown."""
    command(sandbox, "run", *TAGS, "--to", "data", *suite)
    ended = command(None, "quarantine", "data", COLUMNS="120")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert table(ended.stdout) == [
        ["tag", "reason", "rows", "first at", "meaning"],
        ["[b]other[/b]", "date_unreadable", "1", "page 1, row 1", "the date is no date"],
        ["promo", "no_ones", "2", "page 1, row 1", "fails an expectation of your suite"],
        ["promo", "phone_number_unreadable", "1", "page 3, row 1", "the phone number is no number"],
        ["promo", "status_unknown", "2", "page 2, row 2", "the status is no documented word"],
    ]
    assert "63998" not in ended.stdout


def test_list_as_json(sandbox, command):
    """`--json` gives the same counts for programs."""
    command(sandbox, "run", *TAGS, "--to", "data")
    found = json.loads(command(None, "quarantine", "data", "--json").stdout)
    assert [(doubt["tag"], doubt["reason"], doubt["rows"], doubt["page"], doubt["position"]) for doubt in found] == [
        ("[b]other[/b]", "date_unreadable", 1, 1, 1),
        ("promo", "phone_number_unreadable", 1, 3, 1),
        ("promo", "status_unknown", 2, 2, 2),
    ]


def test_nothing_in_quarantine(sandbox, command):
    """Where nothing is in quarantine, that is said, and a replay has nothing to do."""
    command(sandbox, "run", "sound", "--to", "data")
    assert command(None, "quarantine", "data").stdout == "nothing is in quarantine\n"
    assert command(None, "quarantine", "data", "--replay").returncode == 0


@pytest.mark.parametrize("place", ["elsewhere", "rows.csv"])
def test_no_dataset(command, place):
    """A place without a dataset is a mistake in its name: exit code 2."""
    for more in ((), ("--replay",)):
        ended = command(None, "quarantine", place, *more)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith("error: ")


def test_replay(sandbox, command, suite, rows):
    """Rows that can be believed now are loaded as a new reading would, without a request and without a key."""
    command(sandbox, "run", *TAGS, "--to", "data", *suite)
    command(sandbox, "run", *TAGS, "--to", "expected")
    sandbox.forget_requests()
    ended = command(None, "quarantine", "data", "--replay", "--json", SMSPARTNER_API_KEY=None)
    assert (ended.returncode, sandbox.requests) == (4, [])
    for name in ("statuses", "quarantine"):
        assert rows("expected", name, without=VARYING) == rows("data", name, without=VARYING)
    report = json.loads(ended.stdout)
    told = ("tag", "verdict", "reason", "rows_loaded", "requests")
    assert [tuple(tag[name] for name in told) for tag in report["tags"]] == [
        ("[b]other[/b]", "skipped", "no row in quarantine can be believed yet", 0, 0),
        ("promo", "complete", "2 of 4 rows left the quarantine", 3, 0),
    ]
    settings = {"replay": "data", "validate": "contract", "expectations": None, "allow_quarantined": 0}
    assert settings == report["settings"]


def test_replay_is_a_run_in_the_audit(sandbox, command, suite, rows, here):
    """A replay has its rows in `tag_runs`, its report in `runs/`, and the rows it loaded name it."""
    command(sandbox, "run", *TAGS, "--to", "data", *suite)
    run_id = json.loads(command(None, "quarantine", "data", "--replay", "--json").stdout)["run_id"]
    assert (here / "data" / "runs" / f"{run_id}.json").exists()
    assert [row["tag"] for row in rows("data", "tag_runs") if row["run_id"] == run_id] == ["[b]other[/b]", "promo"]
    assert {row["run_id"] == run_id for row in rows("data") if row["tag"] == "promo"} == {True}
    assert {row["run_id"] == run_id for row in rows("data") if row["tag"] != "promo"} == {False}


def test_replay_under_the_same_rules(sandbox, command, suite):
    """With the same suite, the same rows are doubted again: they stay in quarantine."""
    command(sandbox, "run", *TAGS, "--to", "data", *suite)
    told = command(None, "quarantine", "data", "--replay", *suite, "--json")
    (promo,) = [tag for tag in json.loads(told.stdout)["tags"] if tag["tag"] == "promo"]
    assert (*(told.returncode, promo["reason"], promo["rows_loaded"], promo["rows_quarantined"]),) == (
        4,
        "0 of 4 rows left the quarantine",
        1,
        4,
    )


def test_replay_under_stricter_rules(sandbox, command, suite, rows, here):
    """A rule that doubts rows loaded before fails the tag, which stays as it was: their raw JSON is not kept."""
    command(sandbox, "run", *TAGS, "--to", "data", *suite)
    stricter = {**NOT_SFR, "kwargs": {"column": "phone_number", "regex": "2$"}, "meta": {"rule": "no_twos"}}
    (here / "stricter.json").write_text(json.dumps({"name": "stricter", "expectations": [stricter]}))
    before = rows("data"), rows("data", "quarantine")
    given = ("--validate", "gx", "--expectations", "stricter.json", "--json")
    ended = command(None, "quarantine", "data", "--replay", *given)
    (promo,) = [tag for tag in json.loads(ended.stdout)["tags"] if tag["tag"] == "promo"]
    told = "1 rows that are loaded already are doubted now (no_twos); read the tag again"
    assert (3, "failed", told) == (ended.returncode, promo["verdict"], promo["reason"])
    assert before == (rows("data"), rows("data", "quarantine"))


def test_replay_twice(sandbox, command, suite, rows):
    """A replay that is repeated changes nothing more."""
    command(sandbox, "run", *TAGS, "--to", "data", *suite)
    command(None, "quarantine", "data", "--replay")
    before = rows("data"), rows("data", "quarantine")
    ended = command(None, "quarantine", "data", "--replay", "--allow-quarantined", "3")
    assert (0, before) == (ended.returncode, (rows("data"), rows("data", "quarantine")))


def test_replay_of_masked_numbers(sandbox, command, suite, rows):
    """Rows kept masked can't be read once more: they stay in quarantine, and what to do is told."""
    command(sandbox, "run", *TAGS, "--to", "data", *suite, "--phone-numbers", "masked")
    before = rows("data", "quarantine")
    ended = command(None, "quarantine", "data", "--replay")
    assert (4, before) == (ended.returncode, rows("data", "quarantine"))
    told = "its quarantine holds masked numbers, which say nothing of the rows: run the tag again"
    assert told in " ".join(ended.stderr.split())
