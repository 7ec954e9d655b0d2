"""What is loaded is the state: settled tags are not asked for again, all others are, and a dead run is run again."""

import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from smspartner_pipelines.sandbox import Campaign, Fault

HOUR = 3600
DAY = 24 * HOUR


class Clock:
    """A clock for the sandbox that stands until it is set."""

    def __init__(self):
        self.now = datetime.now(UTC).timestamp()

    def __call__(self):
        """Give the time."""
        return self.now


@pytest.fixture
def clock():
    """The sandbox's clock, at the real time."""
    return Clock()


def asked(sandbox):
    """List the tags that were asked for, each once, and forget the requests."""
    tags = sorted({record.tag for record in sandbox.requests})
    sandbox.forget_requests()
    return tags


def verdicts(report):
    """Give the verdict of each tag."""
    return {tag["tag"]: tag["verdict"] for tag in report["tags"]}


def test_settled_tags_are_not_asked_for(start_sandbox, report, rows, clock):
    """The second run asks for what may have changed, and sends no request for a tag that is settled."""
    sandbox = start_sandbox(
        [Campaign("settled", 50, int(clock.now) - 9 * DAY), Campaign("young", 50, int(clock.now) - DAY)], clock=clock
    )
    codes = [report(sandbox, "settled", "young", "--to", "data")[0]]
    assert asked(sandbox) == ["settled", "young"]
    code, second = report(sandbox, "settled", "young", "--to", "data")
    assert ([*codes, code], asked(sandbox)) == ([0, 0], ["young"])
    assert verdicts(second) == {"settled": "skipped", "young": "complete"}
    assert {tag: sum(row["tag"] == tag for row in rows("data")) for tag in ("settled", "young")} == {
        "settled": 50,
        "young": 50,
    }


def test_waiting_tags_are_read_until_they_are_settled(start_sandbox, report, rows, clock):
    """A tag is read again while rows wait; once none waits and 48 h are over, it is read for the last time."""
    sent_at = int(clock.now) - 5 * DAY
    promo = Campaign("promo", 200, sent_at)
    sandbox = start_sandbox([promo], clock=clock)
    seen = []
    for clock.now in (sent_at + HOUR, sent_at + 20 * HOUR, sent_at + 5 * DAY, sent_at + 5 * DAY):
        _, found = report(sandbox, "promo", "--to", "data")
        waiting = sum(row["status"] == "Waiting" for row in promo.population(clock.now))
        loaded = sum(row["status"] == "waiting" for row in rows("data"))
        seen.append((waiting == loaded, waiting > 0, verdicts(found)["promo"], asked(sandbox)))
    ripening = (True, True, "complete", ["promo"])
    assert [ripening, ripening, (True, False, "complete", ["promo"]), (True, False, "skipped", [])] == seen


def test_young_tags_are_read_again(start_sandbox, report):
    """A tag without waiting rows is read again while its last delivery is not 48 h old: statuses may still change."""
    newest = int(datetime.now(UTC).timestamp()) - 47 * HOUR
    row = {"phoneNumber": "+33639980001", "status": "Delivered", "stopSMS": False, "date": str(newest)}
    sandbox = start_sandbox([Campaign.of_rows("promo", [row])])
    runs = [verdicts(report(sandbox, "promo", "--to", "data")[1]) for _ in range(2)]
    assert runs == [{"promo": "complete"}] * 2


@pytest.mark.parametrize("status", ["Not delivered", "Ko"])
def test_tags_without_any_date_are_read_again(start_sandbox, report, api_row, status):
    """Without any date nothing proves that a tag is settled, so it is read again."""
    sandbox = start_sandbox([Campaign.of_rows("promo", [api_row(1, status=status, date="")])])
    runs = [verdicts(report(sandbox, "promo", "--to", "data")[1]) for _ in range(2)]
    assert runs == [{"promo": "complete"}] * 2


def test_refresh_all(start_sandbox, campaign, report):
    """`--refresh all` reads settled tags too."""
    sandbox = start_sandbox([campaign("promo")])
    runs = [verdicts(report(sandbox, "promo", "--to", "data", "--refresh", "all")[1]) for _ in range(2)]
    assert (runs, len(sandbox.requests)) == ([{"promo": "complete"}] * 2, 2)


def test_fresh_for(start_sandbox, report, api_row):
    """`--fresh-for` skips what was read less than that ago, and says when; without it, a waiting tag is read."""
    sandbox = start_sandbox([Campaign.of_rows("promo", [api_row(1, status="Waiting", date="")])])
    _, first = report(sandbox, "promo", "--to", "data")
    _, second = report(sandbox, "promo", "--to", "data", "--fresh-for", "6h")
    _, third = report(sandbox, "promo", "--to", "data")
    read_at = first["tags"][0]["extracted_at"][:19]
    assert [("skipped", f"fresh: read at {read_at}Z"), ("complete", "all 1 rows on 1 page")] == [
        (found["tags"][0]["verdict"], found["tags"][0]["reason"]) for found in (second, third)
    ]


def test_tags_with_quarantined_rows_are_read_again(start_sandbox, campaign, report, rows):
    """A tag with rows in quarantine is not settled; read again without them, its quarantine is empty."""
    sandbox = start_sandbox([campaign("promo")], faults=[Fault("bad_status", times=1)])
    code, _ = report(sandbox, "promo", "--to", "data")
    assert (code, len(rows("data")), len(rows("data", "quarantine"))) == (4, 2, 1)
    code, _ = report(sandbox, "promo", "--to", "data")
    assert (code, len(rows("data")), len(rows("data", "quarantine"))) == (0, 3, 0)
    code, third = report(sandbox, "promo", "--to", "data")
    assert (code, verdicts(third)) == (0, {"promo": "skipped"})


def test_incomplete_and_unknown_tags_are_read_again(start_sandbox, campaign, report):
    """What was not complete is read again by the next run."""
    sandbox = start_sandbox([campaign("cut", 3)], faults=[Fault("not_json", tag="cut", times=3)])
    _, first = report(sandbox, "cut", "late", "--to", "data")
    sandbox.set_campaign(campaign("late"))
    _, second = report(sandbox, "cut", "late", "--to", "data")
    expected = [{"cut": "failed", "late": "unknown"}, {"cut": "complete", "late": "complete"}]
    assert expected == [verdicts(first), verdicts(second)]


@pytest.mark.parametrize("export", ["all.csv", "all.csv.gz", "all.parquet", "-"])
def test_exports_read_all(start_sandbox, campaign, command, export):
    """An export holds every tag asked for, also tags that a dataset beside it has settled."""
    sandbox = start_sandbox([campaign("promo")])
    for _ in range(2):
        command(sandbox, "run", "promo", "--to", "data", "--to", export)
    assert [record.tag for record in sandbox.requests] == ["promo", "promo"]


def test_destination_that_has_a_tag_keeps_it(start_sandbox, campaign, report, files):
    """A tag that one dataset lacks is read for that one; where it is settled, its file is not touched."""
    sandbox = start_sandbox([campaign("promo")])
    report(sandbox, "promo", "--to", "old")
    before = files("old/statuses")
    _, found = report(sandbox, "promo", "--to", "old", "--to", "new")
    assert before == files("old/statuses")
    assert [(one["uri"], one["tags_loaded"]) for one in found["destinations"]] == [("old", 0), ("new", 1)]


def test_killed_run_is_simply_run_again(start_sandbox, campaign, start, report, rows):
    """After SIGKILL the finished tags are loaded and not asked for again, and one more run completes the others."""
    sandbox = start_sandbox(
        [campaign("first"), campaign("hangs"), campaign("last")], faults=[Fault("slow", tag="hangs", seconds=60)]
    )
    killed = start(sandbox, "run", "first", "hangs", "last", "--to", "data", "--to", "-")
    for _ in range(4):  # the header and the three rows of the first tag, which is in the dataset by then
        killed.stdout.readline()
    killed.kill()
    assert killed.wait(30) == -signal.SIGKILL
    kept = rows("data")
    assert [row["tag"] for row in kept] == ["first"] * 3
    sandbox.faults.clear()
    sandbox.forget_requests()
    code, found = report(sandbox, "first", "hangs", "last", "--to", "data")
    assert (code, asked(sandbox)) == (0, ["hangs", "last"])
    assert verdicts(found) == {"first": "skipped", "hangs": "complete", "last": "complete"}
    assert (9, kept) == (len(rows("data")), [row for row in rows("data") if row["tag"] == "first"])
    assert list(Path("data/.staging").iterdir()) == []


def test_history_grows_by_one_row_per_tag_and_run(start_sandbox, report, rows, clock):
    """`tag_runs` keeps what each run found of a tag: the history of a campaign's progress."""
    sent_at = int(clock.now) - 5 * DAY
    promo = Campaign("promo", 100, sent_at)
    sandbox = start_sandbox([promo], clock=clock)
    expected = []
    for clock.now in (sent_at, sent_at + HOUR, sent_at + 3 * DAY):
        _, found = report(sandbox, "promo", "--to", "data")
        waiting = sum(row["status"] == "Waiting" for row in promo.population(clock.now))
        expected.append((found["run_id"], waiting))
    assert sorted(expected) == [(row["run_id"], row["waiting"]) for row in rows("data", "tag_runs")]
    assert expected[0][1] > expected[1][1] > expected[2][1] == 0


def test_loaded_tags_are_told(start_sandbox, campaign, command):
    """`smspartner tags` tells of each tag what the next run judges by."""
    sandbox = start_sandbox([campaign("promo")])
    ended = command(sandbox, "run", "promo", "--to", "data", "--json")
    (run,) = json.loads(ended.stdout)["tags"]
    (told,) = json.loads(command(None, "tags", "data", "--json").stdout)
    expected = {
        "tag": "promo",
        "rows_received": 3,
        "rows_loaded": 3,
        "rows_quarantined": 0,
        "waiting": 0,
        "newest_status_at": "2018-02-07T07:38:31.000000Z",
        "extracted_at": run["extracted_at"],
        "run_id": run["run_id"],
        "consistent": True,
        "phone_numbers": "plain",
        "rows_erased": 0,
        "settled": True,
    }
    assert expected == told
    assert datetime.fromisoformat(told["extracted_at"]) - datetime.fromisoformat(told["newest_status_at"]) > timedelta(
        2
    )
