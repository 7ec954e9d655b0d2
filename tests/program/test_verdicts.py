"""Every verdict, from a real answer of the API to the report, the audit table, and what is loaded."""

import json
from datetime import UTC, datetime

import pytest
from smspartner_pipelines.sandbox import Campaign, Fault

COUNTS = (
    *("rows_declared", "rows_received", "rows_loaded", "rows_quarantined", "delivered", "not_delivered", "waiting"),
    *("ko", "stop_sms", "pages", "requests", "retries"),
)
NOTHING = dict.fromkeys(COUNTS, 0) | {"rows_declared": None}
FOUR_ROWS = NOTHING | {"rows_declared": 4, "rows_received": 4, "rows_loaded": 4, "delivered": 4}
SOUND = {
    "tag": "sound",
    "verdict": "complete",
    "reason": "all 4 rows on 2 pages",
    **FOUR_ROWS,
    "pages": 2,
    "requests": 2,
}
VARYING = ("run_id", "extracted_at", "seconds")


def fixed(tag_run):
    """Leave out what differs from run to run."""
    return {name: value for name, value in tag_run.items() if name not in VARYING}


@pytest.fixture
def serve(start_sandbox, campaign):
    """Serve the tags `struck` and `sound`, four rows on two pages each, with faults for `struck`."""
    return lambda *faults, **options: start_sandbox(
        [campaign("struck", 4), campaign("sound", 4)], faults=faults, page_size=2, **options
    )


def struck(verdict, reason, **counts):
    """State what becomes of the tag `struck`."""
    return {"tag": "struck", "verdict": verdict, "reason": reason, **NOTHING, **counts}


VERDICTS = {
    "nothing known under the tag": (
        [Fault("vendor_error_4", tag="struck")],
        struck("unknown", 'the API answered code 4 (message not found), "Message introuvable"', requests=1),
        0,
    ),
    "page 1 repeated under the number of page 2": (
        [Fault("repeated_page", tag="struck", page=2)],
        struck(
            "incomplete", "page 2 repeats page 1 row for row", rows_declared=4, rows_received=4, pages=2, requests=2
        ),
        3,
    ),
    "page ignored": (
        [Fault("ignored_page", tag="struck", page=2)],
        struck(
            "incomplete",
            "asked for page 2, the API answered with page 1",
            rows_declared=4,
            rows_received=4,
            pages=2,
            requests=2,
        ),
        3,
    ),
    "first page numbered wrongly": (
        [Fault("wrong_page_number", tag="struck", page=1)],
        struck(
            "incomplete",
            "asked for page 1, the API answered with page 2",
            rows_declared=4,
            rows_received=2,
            pages=1,
            requests=1,
        ),
        3,
    ),
    "last page empty": (
        [Fault("empty_page", tag="struck", page=2)],
        struck(
            "incomplete",
            "page 2 of 2 holds 0 rows instead of 2",
            rows_declared=4,
            rows_received=2,
            pages=2,
            requests=2,
        ),
        3,
    ),
    "first page empty": (
        [Fault("empty_page", tag="struck", page=1)],
        struck(
            "incomplete",
            "page 1 is empty, though 4 rows are declared in total",
            rows_declared=4,
            pages=1,
            requests=1,
        ),
        3,
    ),
    "last page short": (
        [Fault("short_page", tag="struck", page=2)],
        struck(
            "incomplete",
            "page 2 of 2 holds 1 rows instead of 2",
            rows_declared=4,
            rows_received=3,
            pages=2,
            requests=2,
        ),
        3,
    ),
    "last page long": (
        [Fault("long_page", tag="struck", page=2)],
        struck(
            "incomplete",
            "page 2 of 2 holds 3 rows instead of 2",
            rows_declared=4,
            rows_received=5,
            pages=2,
            requests=2,
        ),
        3,
    ),
    "total never holds still": (
        [Fault("total_grows", tag="struck", page=2)],
        struck(
            "unstable",
            "page 1 declared 4 rows in total, page 2 declared 7 (read 3 times)",
            rows_declared=7,
            rows_received=4,
            pages=2,
            requests=6,
        ),
        3,
    ),
    "total moves once": (
        [Fault("total_grows", tag="struck", page=2, times=1)],
        {**SOUND, "tag": "struck", "requests": 4},
        0,
    ),
    "tag gone between two pages": (
        [Fault("vendor_error_4", tag="struck", page=2)],
        struck(
            "unstable",
            "page 1 declared 4 rows in total, then the API answered code 4 (message not found), "
            '"Message introuvable" (read 3 times)',
            rows_declared=4,
            rows_received=2,
            pages=1,
            requests=6,
        ),
        3,
    ),
    "no JSON": (
        [Fault("not_json", tag="struck")],
        struck(
            "failed",
            "page 1: the body (32 bytes) is not a JSON object; it may have been cut (3 requests)",
            requests=3,
            retries=2,
        ),
        3,
    ),
    "HTML with HTTP 200": (
        [Fault("html", tag="struck")],
        struck(
            "failed",
            "page 1: the body is a web page (HTML or XML), not JSON (3 requests)",
            requests=3,
            retries=2,
        ),
        3,
    ),
    "no list": (
        [Fault("no_list", tag="struck")],
        struck(
            "failed",
            "page 1: the body has 0 row lists instead of one (StatutResponse_List) (3 requests)",
            requests=3,
            retries=2,
        ),
        3,
    ),
    "no list of rows": (
        [Fault("list_string", tag="struck")],
        struck("failed", "page 1: the body's row list is no list (3 requests)", requests=3, retries=2),
        3,
    ),
    "no total": (
        [Fault("total_missing", tag="struck")],
        struck(
            "failed",
            "page 1: the body's `total` is missing or no whole number (3 requests)",
            requests=3,
            retries=2,
        ),
        3,
    ),
    "server error on page 2": (
        [Fault("server_error", tag="struck", page=2)],
        struck(
            "failed",
            "page 2: HTTP 500 without an answer that can be read (3 requests)",
            rows_declared=4,
            rows_received=2,
            pages=1,
            requests=4,
            retries=2,
        ),
        3,
    ),
    "error of the vendor, not retried": (
        [Fault("vendor_error_3", tag="struck")],
        struck(
            "failed",
            'page 1: the API answered code 3 (message id required), "Identifiant du message requis" (1 request)',
            requests=1,
        ),
        3,
    ),
    "redirect, not followed": (
        [Fault("redirect", tag="struck")],
        struck(
            "failed",
            "page 1: HTTP 302 without an answer that can be read; redirects are not followed, check the base URL "
            "(1 request)",
            requests=1,
        ),
        3,
    ),
    "body cut for good": (
        [Fault("cut_body", tag="struck")],
        struck(
            "failed",
            "page 1: the answer was cut off or garbled on its way (3 requests)",
            requests=3,
            retries=2,
        ),
        3,
    ),
    "body cut once": (
        [Fault("cut_body", tag="struck", page=2, times=1)],
        {**SOUND, "tag": "struck", "requests": 3, "retries": 1},
        0,
    ),
    "two failures, then an answer": (
        [Fault("server_error", tag="struck", page=1, times=1), Fault("reset", tag="struck", page=1, times=2)],
        {**SOUND, "tag": "struck", "requests": 4, "retries": 2},
        0,
    ),
}


@pytest.mark.parametrize("case", VERDICTS.values(), ids=VERDICTS.keys())
def test_verdict_in_report_and_audit(serve, report, rows, case):
    """A tag's verdict, reason and counts stand in the report and in `tag_runs`; no other tag is touched."""
    faults, expected, code = case
    sandbox = serve(*faults)
    ended, found = report(sandbox, "struck", "sound", "--to", "data")
    loaded = [tag for tag, tag_run in zip(("struck", "sound"), found["tags"], strict=True) if tag_run["rows_loaded"]]
    requested = sum(record.tag == "struck" for record in sandbox.requests)
    assert (code, [expected, SOUND], expected["requests"]) == (ended, [fixed(tag) for tag in found["tags"]], requested)
    assert sorted([expected, SOUND], key=lambda tag_run: tag_run["tag"]) == rows("data", "tag_runs", without=VARYING)
    assert [tag for tag in ("sound", "struck") if tag in loaded for _ in range(4)] == [
        row["tag"] for row in rows("data")
    ]


def test_timeouts_fail_a_tag(start_sandbox, campaign, report):
    """An answer that drips for longer than `--timeout` is asked for again, and then fails its tag alone."""
    faults = [Fault("drip", tag="struck", seconds=0.05)]
    sandbox = start_sandbox([campaign("struck"), campaign("sound")], faults=faults)
    ended, found = report(sandbox, "struck", "sound", "--to", "data", "--timeout", "1", "--retries", "1")
    expected = [
        struck("failed", "page 1: no whole answer within 1 s (2 requests)", requests=2, retries=1),
        {**SOUND, **dict.fromkeys(("rows_declared", "rows_received", "rows_loaded", "delivered"), 3)}
        | {"reason": "all 3 rows on 1 page", "pages": 1, "requests": 1},
    ]
    assert (3, expected) == (ended, [fixed(tag) for tag in found["tags"]])


def test_skipped(serve, report, rows):
    """A settled tag is `skipped` with a reason, without a request, and stays loaded."""
    sandbox = serve()
    report(sandbox, "sound", "--to", "data")
    before = rows("data")
    sandbox.forget_requests()
    ended, found = report(sandbox, "sound", "--to", "data")
    reason = "settled: nothing waiting, and read more than 48 h after its last delivery"
    skipped = {"tag": "sound", "verdict": "skipped", "reason": reason, **NOTHING}
    assert (0, [skipped], [], before) == (ended, [fixed(tag) for tag in found["tags"]], sandbox.requests, rows("data"))
    assert [SOUND, skipped] == sorted(rows("data", "tag_runs", without=VARYING), key=lambda row: row["verdict"])


def test_shrunk_population_is_refused(serve, report, rows):
    """A population that got smaller is `shrunk`: what is loaded stays, and the other tag is replaced."""
    sandbox = serve()
    report(sandbox, "struck", "sound", "--to", "data")
    before = rows("data", without=("run_id", "extracted_at"))
    sandbox.faults.add(Fault("shrunk", tag="struck"))
    ended, found = report(sandbox, "struck", "sound", "--to", "data", "--refresh", "all")
    expected = struck(
        "shrunk",
        "4 rows are loaded, the API now has 3 rows; --allow-shrink accepts that",
        rows_declared=3,
        rows_received=3,
        pages=2,
        requests=2,
    )
    assert (3, [expected, SOUND]) == (ended, [fixed(tag) for tag in found["tags"]])
    assert before == rows("data", without=("run_id", "extracted_at"))
    runs = {row["tag"]: row["run_id"] == found["run_id"] for row in rows("data")}
    assert runs == {"struck": False, "sound": True}


def test_vanished_population_is_refused(serve, report, rows):
    """A loaded tag that the API no longer knows is `shrunk`, and what is loaded stays."""
    sandbox = serve()
    report(sandbox, "struck", "--to", "data")
    before = rows("data")
    sandbox.remove_campaign("struck")
    ended, found = report(sandbox, "struck", "--to", "data", "--refresh", "all")
    reason = "4 rows are loaded, the API now has nothing; --allow-shrink accepts that"
    assert (3, [struck("shrunk", reason, requests=1)]) == (ended, [fixed(tag) for tag in found["tags"]])
    assert before == rows("data")


def test_allow_shrink(serve, report, rows):
    """`--allow-shrink` lets a smaller population replace what is loaded."""
    sandbox = serve()
    report(sandbox, "struck", "--to", "data")
    sandbox.faults.add(Fault("shrunk", tag="struck"))
    ended, _ = report(sandbox, "struck", "--to", "data", "--refresh", "all", "--allow-shrink")
    assert (ended, len(rows("data"))) == (0, 3)


def test_allow_shrink_to_nothing(serve, report, rows):
    """`--allow-shrink` lets a tag that the API no longer knows replace what is loaded, by nothing."""
    sandbox = serve()
    report(sandbox, "struck", "--to", "data")
    sandbox.remove_campaign("struck")
    ended, found = report(sandbox, "struck", "--to", "data", "--refresh", "all", "--allow-shrink")
    assert (ended, found["tags"][0]["verdict"], rows("data")) == (0, "complete", [])


@pytest.mark.parametrize("kind", ["repeated_page", "total_grows", "server_error"])
def test_what_is_loaded_stays(serve, report, rows, kind):
    """A tag that can't be read completely again keeps the rows that were loaded, byte for byte."""
    sandbox = serve()
    report(sandbox, "struck", "--to", "data")
    before = rows("data")
    sandbox.faults.add(Fault(kind, tag="struck", page=2))
    ended, _ = report(sandbox, "struck", "--to", "data", "--refresh", "all")
    assert (3, before) == (ended, rows("data"))


def test_empty_population_is_complete(start_sandbox, report, rows):
    """A tag of zero rows is complete after one request, and its rows are none."""
    sandbox = start_sandbox([Campaign.of_rows("empty", [])])
    ended, found = report(sandbox, "empty", "--to", "data")
    expected = {"tag": "empty", "verdict": "complete", "reason": "all 0 rows on 1 page", **NOTHING}
    expected |= {"rows_declared": 0, "pages": 1, "requests": 1}
    assert (0, [expected], []) == (ended, [fixed(tag) for tag in found["tags"]], rows("data"))


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


def test_report_on_stdout_is_the_report_kept(serve, command, here):
    """What `--json` prints is what the dataset keeps as `runs/RUN_ID.json`, byte for byte."""
    ended = command(serve(), "run", "struck", "--to", "data", "--json")
    run_id = json.loads(ended.stdout)["run_id"]
    assert ended.stdout == (here / "data" / "runs" / f"{run_id}.json").read_text(encoding="utf-8")
