"""`--to delta:DIR`: whatever can be done with a dataset can be done with a lake, and tells the same."""

import json
import re
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from smspartner.erasure import numbers_in
from smspartner_pipelines.sandbox import Campaign, Fault

PHONE_KEY = "a phone key of 26 letters!"
GONE = "+33639980001"
VARYING = ("run_id", "extracted_at")
KEYS = {"statuses": ("tag", "phone_number", "occurrence"), "quarantine": ("tag", "page", "position")}
NO_ONES = {
    "type": "expect_column_values_to_not_match_regex",
    "kwargs": {"column": "phone_number", "regex": "1$"},
    "meta": {"rule": "no_ones"},
}


@pytest.fixture
def sandbox(start_sandbox, api_row):
    """Serve tags with rows of one person, doubted ones, and tags that are hard on paths; three rows on a page."""
    promo = [
        *(api_row(2), api_row(1), api_row(3), api_row(1, phoneNumber="06 39 98 00 01")),
        *(api_row(4, status="?"), api_row(1, status="?"), {"phoneNumber": "n/a", "status": "lost at 0639980001"}),
    ]
    return start_sandbox(
        [
            Campaign.of_rows("promo", promo),
            Campaign.of_rows("../x", [api_row(2), api_row(3)]),
            Campaign.of_rows("a&b=c%20", [api_row(5)]),
            Campaign.of_rows("none", []),
        ],
        page_size=3,
    )


TAGS = ("promo", "../x", "a&b=c%20", "none")
BOTH = ("--to", "data", "--to", "delta:lake")


@pytest.fixture
def lake(here):
    """Read a table of the lake, in the order of its primary key: `lake("quarantine", without=VARYING)`."""

    def read(name="statuses", without=()):
        found = DeltaTable(str(here / "lake" / name)).to_pyarrow_table().to_pylist()
        found.sort(key=lambda row: tuple(row[key] for key in KEYS[name]))
        return [{column: value for column, value in row.items() if column not in without} for row in found]

    return read


def test_same_rows_as_a_dataset(sandbox, command, rows, lake):
    """Extracted once, rows and quarantine are the same in both; so is what `tags` and `quarantine` tell."""
    ended = command(sandbox, "run", *TAGS, *BOTH)
    assert ended.returncode == 4
    assert "7 rows loaded into data, delta:lake" in ended.stderr
    for name in KEYS:
        assert rows("data", name) == lake(name)
    for told in (("tags",), ("tags", "--json"), ("quarantine",), ("quarantine", "--json")):
        of_both = [command(None, told[0], place, *told[1:]) for place in ("data", "delta:lake")]
        assert of_both[0].stdout == of_both[1].stdout != ""
    assert len(DeltaTable("lake/tag_runs").to_pyarrow_table()) == 4


def test_report(sandbox, report, here):
    """The run report lists the files that were written, with sizes and SHA-256, and is kept in the lake."""
    _, found = report(sandbox, *TAGS, "--to", "delta:lake")
    (destination,) = found["destinations"]
    assert (destination["uri"], destination["tags_loaded"]) == ("delta:lake", 4)
    assert sorted(file["path"].split("/")[1] for file in destination["files"]) == [
        *("quarantine", "statuses", "statuses", "statuses", "tag_runs")
    ]
    assert all((here / file["path"]).stat().st_size == file["bytes"] for file in destination["files"])
    kept = json.loads((here / "lake" / "runs" / f"{found['run_id']}.json").read_text())
    assert kept["tags"] == found["tags"]


def test_settled_tags_are_skipped(sandbox, command):
    """A later run asks for nothing that is settled in the lake."""
    command(sandbox, "run", *TAGS, "--to", "delta:lake")
    sandbox.forget_requests()
    ended = command(sandbox, "run", "../x", "a&b=c%20", "--to", "delta:lake")
    assert (ended.returncode, sandbox.requests) == (0, [])
    assert ended.stderr.count("settled: nothing waiting") == 2


@pytest.mark.parametrize("form", ["masked", "hashed"])
def test_forms_of_numbers(sandbox, command, rows, lake, form):
    """Masked and hashed numbers are the same as in a dataset; the plain ones stand nowhere in the lake."""
    given = ("--phone-numbers", form)
    command(sandbox, "run", *TAGS, *BOTH, *given, SMSPARTNER_PHONE_KEY=PHONE_KEY)
    for name in KEYS:
        assert rows("data", name) == lake(name)
    assert named_in(Path("lake")) == []


def named_in(folder):
    """The files below a folder that name the person who goes, in any spelling."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            is_table = path.suffix == ".parquet"
            text = repr(pq.ParquetFile(path).read().to_pylist()) if is_table else path.read_text(encoding="utf-8")
            found += [path] * (GONE in numbers_in(text.encode()))
    return found


def test_forget(sandbox, command, rows, lake, here):
    """Nobody finds the person in any file, old versions included; later runs leave them out, and say so."""
    command(sandbox, "run", *TAGS, *BOTH)
    command(sandbox, "run", *TAGS, *BOTH, "--refresh", "all")
    assert len(named_in(here / "lake")) == 4
    ended = command(None, "forget", GONE, *BOTH, SMSPARTNER_PHONE_KEY=PHONE_KEY)
    told = "2 rows and 2 rows in quarantine removed (tags: 1); the number will not be loaded there again"
    assert (ended.returncode, ended.stdout.splitlines()) == (0, [f"data: {told}", f"delta:lake: {told}"])
    assert named_in(here / "lake") == []
    for name in KEYS:
        assert rows("data", name, without=VARYING) == lake(name, without=VARYING)
    again = command(sandbox, "run", *TAGS, "--to", "delta:lake", "--refresh", "all", SMSPARTNER_PHONE_KEY=PHONE_KEY)
    assert "note: rows of erased numbers were left out (promo: 4)" in again.stderr
    assert named_in(here / "lake") == []
    sandbox.forget_requests()
    refused = command(sandbox, "run", *TAGS, "--to", "delta:lake", "--refresh", "all")
    assert (refused.returncode, sandbox.requests) == (2, [])


def test_replay(sandbox, command, rows, lake, here):
    """Rows that can be believed now leave the quarantine, and take the places that they would have had."""
    (here / "mine.json").write_text(json.dumps({"name": "mine", "expectations": [NO_ONES]}))
    command(sandbox, "run", *TAGS, *BOTH, "--validate", "gx", "--expectations", "mine.json")
    sandbox.forget_requests()
    for place in ("data", "delta:lake"):
        ended = command(None, "quarantine", place, "--replay", SMSPARTNER_API_KEY=None)
        assert (ended.returncode, sandbox.requests) == (4, [])
    for name in KEYS:
        assert rows("data", name, without=VARYING) == lake(name, without=VARYING)
    assert len(lake()) == 7


def test_two_runs_exclude_each_other(sandbox, start, smspartner):
    """While a run holds the lake, another one is told so and requests nothing."""
    sandbox.faults.add(Fault("slow", tag="a&b=c%20", seconds=60))
    first = start(sandbox, "run", "a&b=c%20", "--to", "delta:lake")
    while not sandbox.requests:  # which it sends once it holds the lake
        assert first.poll() is None
        time.sleep(0.01)
    asked = len(sandbox.requests)
    second = smspartner(sandbox, "run", "promo", "--to", "delta:./lake")
    told = "error: delta:./lake is in use by another run; wait until it has ended, or load elsewhere\n"
    assert (1, told, asked) == (second.returncode, second.stderr, len(sandbox.requests))


# Housekeeping.


def test_compact(sandbox, command, lake):
    """What was done is said table by table; what is loaded stays as it was."""
    for _ in range(3):
        command(sandbox, "run", *TAGS, "--to", "delta:lake", "--refresh", "all")
    before = lake(), lake("quarantine")
    ended = command(None, "compact", "delta:lake", "--retain", "0")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [re.sub(r"\d+ files removed", "N files removed", line) for line in ended.stdout.splitlines()] == [
        "delta:lake: tag_runs: 3 files are 1 now",
        *(
            f"delta:lake: {name}: N files removed of versions older than 0 h"
            for name in ("statuses", "quarantine", "loaded_tags", "tag_runs")
        ),
    ]
    assert before == (lake(), lake("quarantine"))
    assert command(sandbox, "run", *TAGS, "--to", "delta:lake").returncode == 4


def test_compact_a_dataset(sandbox, command, files):
    """A dataset has nothing to compact, which is said."""
    command(sandbox, "run", *TAGS, "--to", "data")
    before = files("data")
    ended = command(None, "compact", "data")
    assert (ended.returncode, ended.stdout) == (0, "data: nothing to compact; nothing piles up there\n")
    assert before == files("data")


@pytest.mark.parametrize(
    "arguments",
    [("rows.csv",), ("delta:elsewhere",), ("delta:lake", "--retain", "soon"), ("delta:s3://bucket/lake",)],
    ids=["an-export", "nothing-there", "no-duration", "an-object-store"],
)
def test_compact_what_can_not_be(command, arguments):
    """A mistake in the command is told in one sentence, with exit code 2."""
    ended = command(None, "compact", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: ")


def test_directory_of_somebody_else(sandbox, command, here):
    """A directory with other files is refused before anything is requested."""
    (here / "lake").mkdir()
    (here / "lake" / "notes.txt").touch()
    ended = command(sandbox, "run", "promo", "--to", "delta:lake")
    assert (ended.returncode, sandbox.requests) == (2, [])
    assert "lake holds other files and is no lake of this product" in ended.stderr
