"""Many destinations at once: extracted once, loaded everywhere; one that fails keeps nothing from the others."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from faults import Campaign
from smspartner_pipelines.load import mask_secrets, open_destination
from smspartner_schemas.contract import STATUSES

KEEPING = ("data", "parquet:more.csv", "delta:lake", "duckdb:all.duckdb")
"""Destinations that keep tags, as URIs that work in an empty directory."""

EXPORTS = ("all.parquet", "all.csv", "all.csv.gz")

TAGS = ("promo", "relance", "soldes-été", "=1+1", "a&b", "last")
COUNTS = {tag: 5 + number for number, tag in enumerate(TAGS)}
GONE = "was removed, moved or replaced while the run went on; run again"


class Gate:
    """The sandbox's clock, asked once a request: does something once before the n-th answer."""

    def __init__(self):
        self.before, self.act = 0, None

    def __call__(self):
        """Tell the time."""
        self.before -= 1
        if self.before == 0:
            self.act()
        return time.time()


@pytest.fixture
def gate():
    """The sandbox's clock."""
    return Gate()


@pytest.fixture
def lose(gate, here):
    """Make the folder `gone`, and lose it before the n-th answer: `lose(3)`."""

    def arm(before):
        (here / "gone").mkdir()
        gate.before, gate.act = before, lambda: (here / "gone").rename(here / "elsewhere")

    return arm


@pytest.fixture
def sandbox(start_sandbox, gate):
    """Serve settled campaigns, each on three pages."""

    def rows(number, count):
        numbers = [f"+336{1000 * number + place:08}" for place in range(count)]
        return [{"phoneNumber": one, "status": "Delivered", "stopSMS": False, "date": "1517989111"} for one in numbers]

    campaigns = [Campaign.of_rows(tag, rows(number, COUNTS[tag])) for number, tag in enumerate(TAGS)]
    return start_sandbox(campaigns, page_size=4, clock=gate)


def to(*places):
    """The options that name these places."""
    return [word for place in places for word in ("--to", place)]


def asked(sandbox):
    """How often each page of each tag was asked for since the last look."""
    counted = Counter((request.tag, int(request.page or 1)) for request in sandbox.requests)
    sandbox.forget_requests()
    return counted


def once(*tags):
    """Every page of these tags, asked for once; where the last one is full, the look behind the end, too."""
    return Counter((tag, page) for tag in tags for page in range(1, COUNTS[tag] // 4 + 2))


def first_pages(*tags):
    """The first page of each of these tags, asked for once."""
    return Counter((tag, 1) for tag in tags)


def stored(uri):
    """All rows of a destination that keeps tags, by tag, without what differs from run to run."""
    columns = [name for name in STATUSES.column_names if name not in {"run_id", "extracted_at"}]
    destination = open_destination(uri)
    found = {}
    with destination.open(for_loading=False):
        for part in destination.scan(STATUSES, columns):
            for row in part.to_pylist():
                found.setdefault(row["tag"], []).append(row)
    return {tag: sorted(rows, key=str) for tag, rows in found.items()}


def exported(path):
    """The numbers of rows under each tag of an export."""
    table = pq.read_table(path) if path.endswith(".parquet") else pyarrow.csv.read_csv(path)
    return dict(Counter(table["tag"].to_pylist()))


def results(report):
    """What a report says of each destination: tags loaded, and whether it failed."""
    return {one["uri"]: (one["tags_loaded"], one["failure"] is not None) for one in report["destinations"]}


def test_everywhere_at_once(sandbox, report, postgresql, bucket):
    """One extraction fills every kind of destination alike; a second run finds every tag settled."""
    places = (*KEEPING, postgresql.uri, f"{bucket.uri}/data")
    code, found = report(sandbox, *TAGS, *to(*places, *EXPORTS))
    assert (code, once(*TAGS)) == (0, asked(sandbox))
    assert results(found) == dict.fromkeys(map(mask_secrets, (*places, *EXPORTS)), (len(TAGS), False))
    first, *others = map(stored, places)
    assert {tag: len(rows) for tag, rows in first.items()} == COUNTS
    assert [first] * len(others) == others
    assert [COUNTS] * len(EXPORTS) == [exported(path) for path in EXPORTS]
    code, found = report(sandbox, *TAGS, *to(*places))
    assert (code, {row["verdict"] for row in found["tags"]}) == (0, {"skipped"})
    assert asked(sandbox) == first_pages(*TAGS)


@pytest.mark.parametrize("keeping", KEEPING)
def test_what_is_missing_somewhere(sandbox, report, keeping):
    """A tag that one destination lacks is read, and loaded in all: none holds an older reading than another."""
    report(sandbox, *TAGS[:2], *to(keeping))
    report(sandbox, *TAGS[2:4], *to("other"))
    asked(sandbox)
    code, found = report(sandbox, *TAGS, *to(keeping, "other"))
    assert (code, once(*TAGS)) == (0, asked(sandbox))
    assert results(found) == dict.fromkeys((keeping, "other"), (len(TAGS), False))
    assert stored(keeping) == stored("other")
    code, found = report(sandbox, *TAGS, *to(keeping, "other"))
    assert (code, results(found)) == (0, {keeping: (0, False), "other": (0, False)})
    assert asked(sandbox) == first_pages(*TAGS)


@pytest.mark.parametrize(
    ("place", "keeping"),
    [
        ("gone/data", "data"),
        ("gone/data", "delta:lake"),
        ("gone/all.csv", "duckdb:all.duckdb"),
        ("gone/x.parquet", "a"),
    ],
)
def test_one_goes_away(sandbox, lose, report, keeping, place):
    """One goes away in the middle: exit code 1; the others have it all, and the next run loads what it lost."""
    lose(7)
    code, found = report(sandbox, *TAGS, *to(place, keeping, "all.csv"), "--concurrency", "1")
    assert (code, once(*TAGS)) == (1, asked(sandbox))
    assert results(found) | {place: None} == {place: None, keeping: (len(TAGS), False), "all.csv": (len(TAGS), False)}
    assert [one["failure"] is None for one in found["destinations"]] == [False, True, True]
    assert {row["verdict"] for row in found["tags"]} == {"complete"}
    assert {tag: len(rows) for tag, rows in stored(keeping).items()} == COUNTS
    assert exported("all.csv") == COUNTS
    assert not Path("gone").exists()

    Path("gone").mkdir()
    code, found = report(sandbox, *TAGS, *to(place, keeping))
    assert (code, once(*TAGS)) == (0, asked(sandbox))
    assert results(found) == dict.fromkeys((place, keeping), (len(TAGS), False))


def test_all_go_away(sandbox, lose, report):
    """When no destination is left, the run ends with exit code 1 and says of each why."""
    lose(2)
    code, found = report(sandbox, *TAGS, *to("gone/data", "gone/more"), "--concurrency", "1")
    assert (code, results(found)) == (1, {"gone/data": (0, True), "gone/more": (0, True)})
    assert [one["failure"].endswith(GONE) for one in found["destinations"]] == [True, True]
    assert found["totals"]["rows_loaded"] == 0


START = {
    "busy": (lambda here: open_destination(str(here / "bad")).open(for_loading=True), "bad", 1),
    "a file": (lambda here: nullcontext((here / "bad").write_text("not ours")), "bad", 2),
    "no table": (lambda here: nullcontext((here / "bad").write_text("not ours")), "duckdb:bad", 2),
    "down": (lambda _: nullcontext(), "postgresql://me:s3cr3t-pass@127.0.0.1:1/x", 1),
}
"""What is wrong with a destination at the start, its URI, and the exit code where there is no other."""


@pytest.mark.parametrize("case", START.values(), ids=START.keys())
def test_one_cannot_be_used_at_the_start(sandbox, report, command, here, case):
    """A destination that is busy, down or not writable at the start keeps nothing from the others: exit code 1."""
    prepare, bad, alone = case
    with prepare(here):
        code, found = report(sandbox, *TAGS, *to(bad, "data", "all.csv"))
        assert (code, results(found)) == (1, {mask_secrets(bad): (0, True), "data": (6, False), "all.csv": (6, False)})
        assert ({tag: len(rows) for tag, rows in stored("data").items()}, exported("all.csv")) == (COUNTS, COUNTS)
        asked(sandbox)
        ended = command(sandbox, "run", *TAGS, *to(bad))
        assert (ended.returncode, asked(sandbox)) == (alone, Counter())
        assert (ended.stderr[:7], "s3cr3t" in ended.stderr) == ("error: ", False)


@pytest.mark.parametrize("other", ["./data", "parquet:data", "link", "data/../data"])
def test_one_place_named_twice(sandbox, command, here, other):
    """One place named twice, also by another spelling or a link, is exit code 2 before the first request."""
    (here / "data").mkdir()
    (here / "link").symlink_to(here / "data")
    ended = command(sandbox, "run", *TAGS, *to("data", other))
    assert (ended.returncode, asked(sandbox)) == (2, Counter())
    assert "named twice" in ended.stderr
