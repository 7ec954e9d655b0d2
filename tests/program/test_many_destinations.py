"""Many destinations at once: extracted once, loaded everywhere; one that fails keeps nothing from the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from smspartner_pipelines.load import mask_secrets, open_destination
from smspartner_pipelines.sandbox import Campaign, Fault

KEEPING = ("data", "parquet:more.csv", "delta:lake", "duckdb:all.duckdb")
"""Destinations that keep tags, as URIs that work in an empty directory."""

EXPORTS = ("all.parquet", "all.csv", "all.csv.gz")

TAGS = ("promo", "relance", "soldes-été", "=1+1", "a&b", "last")
COUNTS = {tag: 5 + number for number, tag in enumerate(TAGS)}
COMMAND = str(Path(sys.executable).with_name("smspartner"))
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
    """Every page of these tags, asked for once."""
    return Counter((tag, page) for tag in tags for page in range(1, -(-COUNTS[tag] // 4) + 1))


def stored(uri):
    """All rows of a destination that keeps tags, by tag, without what differs from run to run; and the run's id."""
    with open_destination(uri) as store:
        tags = {tag: store.stored_tag(state).rows.to_pylist() for tag, state in store.loaded_tags().items()}
    return {tag: sorted(map(plain, rows), key=str) for tag, rows in tags.items()}


def plain(row):
    """A row without its run."""
    return {name: value for name, value in row.items() if name not in {"run_id", "extracted_at"}}


def exported(path):
    """The numbers of rows under each tag of an export."""
    table = pq.read_table(path) if path.endswith(".parquet") else pyarrow.csv.read_csv(path)
    return dict(Counter(table["tag"].to_pylist()))


def told(report):
    """What a report says of each destination: tags loaded, and whether it failed."""
    return {one["uri"]: (one["tags_loaded"], one["failure"] is not None) for one in report["destinations"]}


def test_extracted_once(sandbox, report):
    """Every page is asked for once, however many destinations there are; all hold the same rows and are reported."""
    code, found = report(sandbox, *TAGS, *to(*KEEPING, *EXPORTS))
    assert (code, once(*TAGS)) == (0, asked(sandbox))
    assert told(found) == dict.fromkeys((*KEEPING, *EXPORTS), (len(TAGS), False))
    first, *others = map(stored, KEEPING)
    assert {tag: len(rows) for tag, rows in first.items()} == COUNTS
    assert [first] * len(others) == others
    assert [COUNTS] * len(EXPORTS) == [exported(path) for path in EXPORTS]


def test_everywhere_at_once(sandbox, report, postgresql, bucket):
    """One extraction fills every kind of destination alike; a second run finds every tag settled in each of them."""
    places = (*KEEPING, postgresql.uri, f"{bucket.uri}/data")
    code, found = report(sandbox, *TAGS, *to(*places))
    assert (code, once(*TAGS)) == (0, asked(sandbox))
    assert told(found) == dict.fromkeys(map(mask_secrets, places), (len(TAGS), False))
    first, *others = map(stored, places)
    assert {tag: len(rows) for tag, rows in first.items()} == COUNTS
    assert [first] * len(others) == others
    code, found = report(sandbox, *TAGS, *to(*places))
    assert (code, {row["verdict"] for row in found["tags"]}, Counter()) == (0, {"skipped"}, asked(sandbox))


@pytest.mark.parametrize("keeping", KEEPING)
def test_only_what_is_missing(sandbox, report, keeping):
    """Where one destination has a tag already, it is asked for and loaded only for the one that lacks it."""
    report(sandbox, *TAGS[:2], *to(keeping))
    report(sandbox, *TAGS[2:4], *to("other"))
    asked(sandbox)
    code, found = report(sandbox, *TAGS, *to(keeping, "other"))
    assert (code, once(*TAGS)) == (0, asked(sandbox))
    assert told(found) == {keeping: (4, False), "other": (4, False)}
    assert stored(keeping) == stored("other")
    code, found = report(sandbox, *TAGS, *to(keeping, "other"))
    assert (code, Counter(), told(found)) == (0, asked(sandbox), {keeping: (0, False), "other": (0, False)})


@pytest.mark.parametrize("keeping", KEEPING)
@pytest.mark.parametrize("place", ["gone/data", "gone/all.csv", "gone/all.parquet"])
def test_one_goes_away(sandbox, lose, report, keeping, place):
    """One goes away in the middle: exit code 1; the others have it all, and the next run loads only what it lost."""
    lose(7)
    code, found = report(sandbox, *TAGS, *to(place, keeping, "all.csv"), "--concurrency", "1")
    assert (code, once(*TAGS)) == (1, asked(sandbox))
    assert told(found) | {place: None} == {place: None, keeping: (len(TAGS), False), "all.csv": (len(TAGS), False)}
    assert [one["failure"] is None for one in found["destinations"]] == [False, True, True]
    assert {row["verdict"] for row in found["tags"]} == {"complete"}
    assert {tag: len(rows) for tag, rows in stored(keeping).items()} == COUNTS
    assert exported("all.csv") == COUNTS
    assert not Path("gone").exists()

    Path("gone").mkdir()
    code, found = report(sandbox, *TAGS, *to(place, keeping))
    assert (code, once(*TAGS)) == (0, asked(sandbox))
    assert told(found) == {place: (len(TAGS), False), keeping: (0, False)}


def test_all_go_away(sandbox, lose, report):
    """When no destination is left, the run ends with exit code 1, and asks for no more than was under way."""
    lose(2)
    sandbox.faults.add(Fault("slow", tag=TAGS[1], seconds=60))
    code, found = report(sandbox, *TAGS, *to("gone/data", "gone/more"), "--concurrency", "1")
    assert (code, found["failure"]) == (1, f"gone/data {GONE}; gone/more {GONE}")
    assert told(found) == {"gone/data": (0, True), "gone/more": (0, True)}
    assert (found["totals"]["rows_loaded"], found["not_reached"]) == (0, list(TAGS))
    assert asked(sandbox).keys() <= once(*TAGS[:2]).keys()


def test_nothing_is_asked_for_in_vain(sandbox, lose, report):
    """When the others lack nothing any more, a destination that fails ends the run; what they have is told."""
    report(sandbox, *TAGS[1:], *to("data"))
    asked(sandbox)
    lose(2)
    sandbox.faults.add(Fault("slow", tag=TAGS[1], seconds=60))
    code, found = report(sandbox, *TAGS, *to("gone/more", "data"), "--concurrency", "1")
    assert (code, found["failure"]) == (1, f"gone/more {GONE}")
    assert told(found) == {"gone/more": (0, True), "data": (1, False)}
    assert ([row["tag"] for row in found["tags"]], found["not_reached"]) == (["promo"], list(TAGS[1:]))
    assert asked(sandbox).keys() <= once(*TAGS[:2]).keys()
    assert {tag: len(rows) for tag, rows in stored("data").items()} == COUNTS


FULL = """
mkdir small && mount -t tmpfs -o size=44k tmpfs small || exit 77
"$0" "$@" > first.json; echo $? > first.code
cp -r small found
mount -o remount,size=50m small
"$0" "$@" > second.json; echo $? > second.code
cp -r small/. found
"""


def test_one_is_full(start_sandbox, here):
    """One fills up: exit code 1 and the cause; the others have it all, and the next run brings only what it lacks."""
    numbers = [(number * 2654435761) % 10_000_000 for number in range(9_000)]
    row = {"status": "Delivered", "stopSMS": False, "date": "1517989111"}
    large = [{"phoneNumber": f"+3361{number:07}"} | row for number in numbers]
    sizes = {"first": 3, "large": 5_000, "larger": 9_000, "last": 4}
    sandbox = start_sandbox([Campaign.of_rows(tag, large[:size]) for tag, size in sizes.items()], page_size=1000)
    settings = {
        "SMSPARTNER_API_KEY": "sandbox-key",
        "SMSPARTNER_BASE_URL": sandbox.url,
        "SMSPARTNER_VALIDATE": "contract",
    }
    places = ("small/data", *KEEPING)
    as_ordinary_user = ["--user", "--map-root-user"] * bool(os.getuid())
    ended = subprocess.run(
        ["unshare", "--mount", *as_ordinary_user, "sh", "-c", FULL, COMMAND, "run", *sizes, *to(*places), "--json"],
        check=False,
        cwd=here,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
    )
    if ended.returncode == 77 or "unshare" in ended.stderr:
        pytest.skip("needs the right to mount file systems, be it in a namespace of its own")
    first, second = (json.loads((here / f"{name}.json").read_text("utf-8")) for name in ("first", "second"))
    assert [(here / f"{name}.code").read_text().strip() for name in ("first", "second")] == ["1", "0"]
    assert told(first) == {"small/data": (2, True)} | dict.fromkeys(KEEPING, (4, False))
    full = "failed: the disk is full; free some space and run again"
    assert [str(one["failure"]).endswith(full) for one in first["destinations"]] == [True] + [False] * len(KEEPING)
    assert (
        f"14,007 rows loaded into small/data (2 tags, then it failed), {', '.join(KEEPING)}, 0 in quarantine"
        in ended.stderr
    )
    assert told(second) == {"small/data": (2, False)} | dict.fromkeys(KEEPING, (0, False))
    tags = Counter(request.tag for request in sandbox.requests)
    assert tags == {"first": 1, "large": 5, "larger": 2 * 9, "last": 2 * 1}
    assert stored("found/data") == stored("data")
