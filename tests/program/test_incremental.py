"""What is loaded is the state: settled tags are asked for one page, all others are read, and a dead run goes on."""

import json
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from faults import Campaign, Fault
from faults.populations import row

HOUR = 3600
DAY = 24 * HOUR


@pytest.fixture(params=["data", "duckdb:all.duckdb", "delta:lake", "postgresql", "s3"])
def place(request):
    """Give a destination of each kind that keeps tags."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql").uri
    return f"{request.getfixturevalue('bucket').uri}/data" if request.param == "s3" else request.param


def asked(sandbox):
    """List tag and page of each request, and forget the requests."""
    found = sorted((record.tag, int(record.page or 1)) for record in sandbox.requests)
    sandbox.forget_requests()
    return found


def verdicts(report):
    """Give the verdict of each tag."""
    return {tag["tag"]: tag["verdict"] for tag in report["tags"]}


def test_a_tag_is_used_again(start_sandbox, report, command, place):
    """A settled tag is asked for its first page in every run, and read when that shows that it was used again."""
    sandbox = start_sandbox([Campaign.of_rows("rdv", [row(number) for number in range(3)])])
    runs = [report(sandbox, "rdv", "--to", place)]
    runs.append(report(sandbox, "rdv", "--to", place))
    assert asked(sandbox) == [("rdv", 1)] * 2
    now = int(time.time())
    used = [row(100 + number, now) for number in range(3997)] + [row(number) for number in range(3)]
    sandbox.set_campaign(Campaign.of_rows("rdv", used))
    runs.append(report(sandbox, "rdv", "--to", place))
    assert asked(sandbox) == [("rdv", page) for page in (1, 2, 3, 4, 5)]  # the fifth is the look behind the end
    assert [(code, verdicts(found)["rdv"]) for code, found in runs] == [
        (0, "complete"),
        (0, "skipped"),
        (0, "complete"),
    ]
    assert [found["tags"][0]["rows_loaded"] for _, found in runs] == [3, 3, 4000]
    assert [found["tags"][0]["requests"] for _, found in runs] == [1, 1, 5]
    (loaded,) = json.loads(command(None, "tags", place, "--json").stdout)
    assert loaded["rows_loaded"] == 4000


@pytest.mark.parametrize("form", ["plain", "masked", "hashed"])
def test_an_opt_out_weeks_later(start_sandbox, report, rows, form):
    """A settled tag whose first page has other rows under the same total is loaded anew; further pages need `all`."""
    sent = [row(number) for number in range(5)]
    sandbox = start_sandbox([Campaign.of_rows("promo", sent)], page_size=3)
    given = ("promo", "--to", "data", "--phone-numbers", form)
    key = {"SMSPARTNER_PHONE_KEY": "a phone key of 26 letters!"}
    seen = [verdicts(report(sandbox, *given, **key)[1])["promo"] for _ in range(2)]
    assert (seen, asked(sandbox)) == (["complete", "skipped"], [("promo", 1), ("promo", 1), ("promo", 2)])
    seen = []
    for place in (1, 4):
        sent[place] = sent[place] | {"stopSMS": True}
        sandbox.set_campaign(Campaign.of_rows("promo", sent))
        for options in ((), ("--refresh", "all")):
            _, found = report(sandbox, *given, *options, **key)
            seen.append((verdicts(found)["promo"], sum(one["stop_sms"] for one in rows("data"))))
    assert seen == [("complete", 1), ("complete", 1), ("skipped", 1), ("complete", 2)]


def test_waiting_tags_are_read_until_they_are_settled(start_sandbox, report, rows):
    """A tag is read again while rows wait; once none waits and 48 h are over, its first page is enough."""
    now = time.time()
    sent_at = int(now) - 5 * DAY
    promo = Campaign("promo", 200, sent_at)
    sandbox = start_sandbox([promo], clock=lambda: now, page_size=150)
    seen = []
    for now in (sent_at + HOUR, sent_at + 20 * HOUR, sent_at + 5 * DAY, sent_at + 5 * DAY):
        _, found = report(sandbox, "promo", "--to", "data")
        waiting = sum(row["status"] == "Waiting" for row in promo.population(now))
        loaded = sum(row["status"] == "waiting" for row in rows("data"))
        seen.append((waiting == loaded, waiting > 0, verdicts(found)["promo"], len(asked(sandbox))))
    ripening = (True, True, "complete", 2)
    assert [ripening, ripening, (True, False, "complete", 2), (True, False, "skipped", 1)] == seen


def test_a_second_try_hides_no_quarantine(start_sandbox, campaign, report, rows):
    """A tag that is skipped since it is fresh keeps its quarantined rows: for the exit code, and in `tag_runs`."""
    began = datetime.now(UTC).isoformat()
    faults = [Fault("bad_status", tag="odd"), Fault("not_json", tag="cut", times=3)]
    sandbox = start_sandbox([campaign("odd"), campaign("cut")], faults=faults)
    codes = [report(sandbox, "odd", "cut", "--to", "data")[0]]
    code, found = report(sandbox, "odd", "cut", "--to", "data", "--fresh-since", began)
    assert ([*codes, code], verdicts(found)) == ([3, 4], {"odd": "skipped", "cut": "complete"})
    skipped = next(one for one in rows("data", "tag_runs") if one["verdict"] == "skipped")
    counts = {"rows_declared": 3, "rows_received": 3, "rows_loaded": 2, "rows_quarantined": 1, "delivered": 2}
    nothing = dict.fromkeys(("pages", "requests", "retries"), 0)
    assert counts | nothing == {name: skipped[name] for name in counts | nothing}
    assert len(rows("data", "quarantine")) == 1


@pytest.mark.parametrize("damage", [b"", b"PAR1 cut", None])
def test_a_damaged_file_is_read_again(start_sandbox, campaign, report, rows, here, damage):
    """A file under `statuses/` that is damaged or gone costs its own tag one more reading, and the others nothing."""
    sandbox = start_sandbox([campaign("promo", 4), campaign("other", 3)])
    report(sandbox, "promo", "other", "--to", "data")
    before = rows("data", without=("run_id", "extracted_at"))
    (file,) = (here / "data" / "statuses").glob("promo-*.parquet")
    file.unlink() if damage is None else file.write_bytes(damage)
    code, found = report(sandbox, "promo", "other", "--to", "data")
    assert (code, verdicts(found)) == (0, {"promo": "complete", "other": "skipped"})
    assert before == rows("data", without=("run_id", "extracted_at"))


def test_exports_read_all(start_sandbox, campaign, command):
    """An export holds every tag asked for, also tags that a dataset beside it has settled."""
    sandbox = start_sandbox([campaign("promo", 5)], page_size=3)
    for _ in range(2):
        command(sandbox, "run", "promo", "--to", "data", "--to", "all.csv")
    assert asked(sandbox) == [("promo", 1)] * 2 + [("promo", 2)] * 2


def test_killed_run_is_simply_run_again(start_sandbox, campaign, start, report, rows):
    """A tag that is read is loaded however slow the others are; after SIGKILL one more run loads what is missing."""
    tags = ("first", "hangs", "last")
    sandbox = start_sandbox(map(campaign, tags), faults=[Fault("slow", tag="hangs", seconds=3600)])
    killed = start(sandbox, "run", *tags, "--to", "data", SMSPARTNER_TIMEOUT="3600")
    until = time.monotonic() + 60
    while len(rows("data")) < 6 and time.monotonic() < until:
        time.sleep(0.05)
    killed.kill()
    assert killed.wait(30) == -signal.SIGKILL
    kept = rows("data")
    assert [row["tag"] for row in kept] == ["first"] * 3 + ["last"] * 3
    sandbox.faults.clear()
    sandbox.forget_requests()
    code, found = report(sandbox, *tags, "--to", "data")
    assert (code, verdicts(found)) == (0, {"first": "skipped", "hangs": "complete", "last": "skipped"})
    assert asked(sandbox) == [(tag, 1) for tag in tags]
    assert (9, kept) == (len(rows("data")), [row for row in rows("data") if row["tag"] != "hangs"])
    assert list(Path("data/.staging").iterdir()) == []
