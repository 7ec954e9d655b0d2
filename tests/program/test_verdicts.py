"""Every verdict, from a real answer of the API to the report, the audit table, and what is loaded."""

import json
from datetime import UTC, datetime

import pytest
from faults import Campaign, Fault
from faults.populations import lawful, row

COUNTS = (
    *("rows_declared", "rows_received", "rows_loaded", "rows_quarantined", "rows_erased", "delivered"),
    *("not_delivered", "waiting", "ko", "stop_sms", "pages", "requests", "retries"),
)
NOTHING = dict.fromkeys(COUNTS, 0) | {"rows_declared": None}
READ = {"rows_declared": 3, "rows_received": 3, "pages": 2}
LOADED = {**READ, "rows_loaded": 3, "delivered": 3, "requests": 2}
VARYING = ("run_id", "extracted_at", "asked_at", "seconds")
ALL = "all 3 rows on 2 pages"
UNKNOWN = 'the API answered code 4 (message not found), "Message introuvable"'
NOT_NOW = 'the API answered code 50 (temporary, or not possible now), "Action impossible pour le moment"'


def fixed(tag_run):
    """Leave out what differs from run to run."""
    return {name: value for name, value in tag_run.items() if name not in VARYING}


def faulty(kind, page=None, **when):
    """Give a fault without its tag, which the test adds."""
    return {"kind": kind, "page": page, "seconds": 0, **when}


ONE_REQUEST, ALL_TRIES = {"requests": 1}, {"requests": 3, "retries": 2}
SHORT = {**READ, "rows_received": 4, "requests": 6}
NO_ROWS = {"rows_declared": 0, "pages": 1, "requests": 1}
CASES = {
    "sound": ([], "complete", ALL, LOADED),
    "unknown": ([faulty("vendor_error_4")], "unknown", UNKNOWN, ONE_REQUEST),
    "short-once": ([faulty("empty_page", 2, times=1)], "complete", ALL, {**LOADED, "requests": 4}),
    "moves-once": ([faulty("total_grows", 2, times=1)], "complete", ALL, {**LOADED, "requests": 4}),
    "cut-once": ([faulty("cut_body", 2, times=1)], "complete", ALL, {**LOADED, "requests": 3, "retries": 1}),
    "list-null": ([faulty("zero_list_null")], "complete", "all 0 rows on 1 page", NO_ROWS),
    "no-list": ([faulty("zero_no_list")], "complete", "all 0 rows on 1 page", NO_ROWS),
    "long": (
        [faulty("long_page", 2)],
        "incomplete",
        "page 2 of 2 holds 2 rows instead of 1 (read 3 times)",
        SHORT,
    ),
    "grows": (
        [faulty("total_grows", 2)],
        "unstable",
        "page 1 declared 3 rows in total, page 2 declared 6 (read 3 times)",
        {**READ, "requests": 6},
    ),
    "server": (
        [faulty("server_error", 2)],
        "failed",
        "page 2: HTTP 500 without an answer that can be read (3 requests)",
        {**READ, "rows_received": 2, "pages": 1, "requests": 4, "retries": 2},
    ),
    "html": (
        [faulty("html")],
        "failed",
        "page 1: the body is a web page (HTML or XML), not JSON (3 requests)",
        ALL_TRIES,
    ),
    "temporary": ([faulty("vendor_error_50_http")], "failed", f"page 1: {NOT_NOW} (3 requests)", ALL_TRIES),
    "parameter": (
        [faulty("vendor_error_9")],
        "failed",
        'page 1: the API answered code 9 (a parameter is wrong), "tag: Tag invalide" (1 request)',
        ONE_REQUEST,
    ),
}
"""By tag: what strikes it, its verdict, its reason, and its counts where they are not 0."""


def test_verdicts_in_report_and_audit(start_sandbox, campaign, report, rows):
    """Each tag's verdict, reason and counts are in the report and in `tag_runs`, and only complete ones are loaded."""
    faults = [Fault(tag=tag, **fault) for tag, (faults, *_) in CASES.items() for fault in faults]
    sandbox = start_sandbox([campaign(tag, 3) for tag in CASES], faults=faults, page_size=2)
    ended, found = report(sandbox, *CASES, "--to", "data")
    expected = {
        tag: {"tag": tag, "verdict": verdict, "reason": reason, **NOTHING, **counts}
        for tag, (_, verdict, reason, counts) in CASES.items()
    }
    assert expected == {one["tag"]: fixed(one) for one in found["tags"]}
    assert (ended, expected) == (3, {one["tag"]: one for one in rows("data", "tag_runs", without=VARYING)})
    asked = [record.tag for record in sandbox.requests]
    assert {tag: one["requests"] for tag, one in expected.items()} == {tag: asked.count(tag) for tag in CASES}
    loaded = [one["tag"] for one in rows("data")]
    assert {tag: one["rows_loaded"] for tag, one in expected.items()} == {tag: loaded.count(tag) for tag in CASES}


@pytest.mark.parametrize("size", [20, 100])
def test_lawful_populations(start_sandbox, report, rows, size):
    """Populations that look odd and are lawful load whole: a dead number each week, numbers twice in one second."""
    populations = {tag: campaign for tag, (_, campaign) in lawful().items()}
    ended, found = report(start_sandbox(populations.values(), page_size=size), *populations, "--to", "data")
    assert {one["tag"]: one["verdict"] for one in found["tags"]} == dict.fromkeys(populations, "complete")
    loaded = [one["tag"] for one in rows("data")]
    assert (ended, {tag: one.rows for tag, one in populations.items()}) == (
        0,
        {tag: loaded.count(tag) for tag in populations},
    )


def numbered(count):
    """Make a tag of so many messages, one a second, each to another number."""
    return Campaign.of_rows("promo", [row(number, 1_517_989_111 + number // 3) for number in range(count)])


VENDORS = {
    # what strikes every page, rows, rows on a page, options: verdict, and the beginning of the reason
    "total counts the page": ("total_of_page", 25, 20, (), "unstable", "page 1 declared 20 rows in total, page 2"),
    "total capped at a page": ("total_capped", 250, 100, (), "incomplete", "page 3, behind the end, holds rows (50)"),
    "total capped at page 1": ("total_capped", 130, 100, (), "incomplete", "page 2, behind the end, holds rows (30)"),
    "ties, read twice": ("overlap_ties", 1000, 100, ("--verify",), "incomplete", "pages overlap: "),
    "shrinks while clamped": ("shrinks_clamped", 40, 20, (), "complete", "all 20 rows on 1 page"),
}


@pytest.mark.parametrize("case", VENDORS.values(), ids=VENDORS.keys())
def test_vendors(start_sandbox, report, rows, case):
    """A vendor that pages wrongly for every tag is found out, and one that is merely odd behind the end is read."""
    kind, count, size, options, verdict, reason = case
    sandbox = start_sandbox([numbered(count)], faults=[Fault(kind)], page_size=size)
    ended, found = report(sandbox, "promo", "--to", "data", *options)
    (one,) = found["tags"]
    assert (verdict, reason) == (one["verdict"], one["reason"][: len(reason)])
    assert ended == (0 if verdict == "complete" else 3)
    assert len(rows("data")) == one["rows_loaded"] == (one["rows_declared"] if verdict == "complete" else 0)
    assert len(sandbox.requests) <= (-(-count // size) + 1) * 3


def test_vendors_of_many_tags(start_sandbox, report):
    """What a run sees of one tag's paging never hides from it that another tag's total does not count everything."""
    campaigns = [Campaign.of_rows(f"t{count}", numbered(count).given) for count in (45, 90, 12, 31, 60)]
    sandbox = start_sandbox(campaigns, faults=[Fault("total_of_page")], page_size=30)
    ended, found = report(sandbox, *(one.tag for one in campaigns), "--to", "data", "--concurrency", "1")
    not_complete = [one["tag"] for one in found["tags"] if one["verdict"] != "complete"]
    # The first tag of an unusual size looks whole, as long as it is the only one.
    assert (ended, not_complete) == (3, ["t90", "t31", "t60"])


def test_paging_that_is_not_proved_yet(start_sandbox, campaign, command):
    """Where looks behind the end were needed and no tag had a second page, the run says so."""
    sandbox = start_sandbox([campaign("promo", 20)], page_size=20)
    ended = command(sandbox, "run", "promo", "--to", "data")
    assert (ended.returncode, len(sandbox.requests)) == (0, 2)
    assert "paging" in ended.stderr


def test_key_refused_in_the_middle(start_sandbox, campaign, report, rows, command):
    """Tags that were read completely before the key was refused are loaded; the run ends with 5 and says what is."""
    tags = [f"tag-{number}" for number in range(30)]
    for to, validate in (("data", "gx"), ("duckdb:all.duckdb", "contract")):
        sandbox = start_sandbox(map(campaign, tags), faults=[Fault("vendor_error_10", after=20)])
        code, found = report(sandbox, *tags, "--to", to, "--concurrency", "1", "--validate", validate)
        verdicts = [one["verdict"] for one in found["tags"]]
        assert (code, verdicts, len(found["not_reached"])) == (5, ["complete"] * 20, 10)
        assert found["totals"]["rows_loaded"] == 60
        assert "code 10" in found["failure"]
    assert len({one["tag"] for one in rows("data")}) == 20
    assert len(json.loads(command(None, "tags", "duckdb:all.duckdb", "--json").stdout)) == 20


@pytest.mark.parametrize(
    ("option", "code", "verdicts", "left"),
    [
        ((), 3, ["shrunk", "shrunk", "complete"], [4, 4, 4]),
        (("--keep-shrunk",), 0, ["skipped", "skipped", "complete"], [4, 4, 4]),
        (("--allow-shrink",), 0, ["complete", "complete", "complete"], [3, 0, 4]),
    ],
)
def test_shrunk_populations(start_sandbox, campaign, report, rows, option, code, verdicts, left):
    """A population that got smaller, or is gone, replaces nothing unless that is allowed; other tags are replaced."""
    tags = ("fewer", "gone", "sound")
    sandbox = start_sandbox([campaign(tag, 4) for tag in tags], page_size=3)
    report(sandbox, *tags, "--to", "data")
    sandbox.set_campaign(campaign("fewer", 3))
    sandbox.remove_campaign("gone")
    ended, found = report(sandbox, *tags, "--to", "data", "--refresh", "all", *option)
    assert (ended, [one["verdict"] for one in found["tags"]]) == (code, verdicts)
    loaded = rows("data")
    assert [sum(row["tag"] == tag for row in loaded) for tag in tags] == left
    assert "sound" in {one["tag"] for one in loaded if one["run_id"] == found["run_id"]}
    for one in found["tags"] if not option else ():
        assert one["tag"] == "sound" or one["reason"].startswith("4 rows are loaded or in quarantine, the API ")


def test_counts_are_those_of_the_population(start_sandbox, report):
    """The counts by status are those of the population, however many pages and repeated numbers it has."""
    now = int(datetime.now(UTC).timestamp())
    promo = Campaign("promo", 2345, sent_at=now - 3600)
    ended, found = report(start_sandbox([promo], page_size=100, clock=lambda: now), "promo", "--to", "data")
    words = [row["status"].lower().replace(" ", "_") for row in promo.population(now)]
    expected = {word: words.count(word) for word in ("delivered", "not_delivered", "waiting", "ko")}
    expected |= {"rows_declared": 2345, "rows_received": 2345, "rows_loaded": 2345, "rows_quarantined": 0}
    expected |= {"pages": 24, "requests": 24, "stop_sms": sum(row["stopSMS"] for row in promo.population(now))}
    assert (0, expected) == (ended, {name: found["tags"][0][name] for name in expected})
    assert expected["waiting"] > 0
    assert expected["rows_loaded"] == found["totals"]["rows_loaded"]


def test_report_on_stdout_is_the_report_kept(start_sandbox, campaign, command, here):
    """What `--json` prints is what the dataset keeps as `runs/RUN_ID.json`, byte for byte."""
    ended = command(start_sandbox([campaign("promo", 4)]), "run", "promo", "--to", "data", "--json")
    run_id = json.loads(ended.stdout)["run_id"]
    assert ended.stdout == (here / "data" / "runs" / f"{run_id}.json").read_text(encoding="utf-8")
