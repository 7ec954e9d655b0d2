"""A clock that was wrong, or is set back: nothing is skipped for it, no duration is negative, no run shares an id."""

from __future__ import annotations

import json
import shutil
import subprocess
import time

import pytest


@pytest.fixture(scope="module")
def faketime():
    """Name faketime; skip where it is missing."""
    return shutil.which("faketime") or pytest.skip("needs faketime")


@pytest.fixture
def at(process, faketime):
    """Run the command at another time: `at("+3d", story)`."""

    def run(time, story, *more):
        under = [faketime, "-f", time]
        arguments = (story.before, story.sandbox, *story.arguments, *more)
        return process(*arguments, under=under, FAKETIME_DONT_FAKE_MONOTONIC="1")

    return run


def runs(story):
    """Give the reports, the oldest file first."""
    files = sorted((story.before / "data" / "runs").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(path.read_text("utf-8")) for path in files]


def test_clock_set_back_between_runs(tell, at):
    """What was read while the clock was days ahead counts neither as settled nor as fresh, until it is read again."""
    story = tell("data")
    for when, fresh in (("+30d", "0"), ("+0d", "90d"), ("+0d", "0")):
        assert at(when, story, "--fresh-for", fresh).code == 0
    verdicts = [[tag["verdict"] for tag in report["tags"]] for report in runs(story)]
    assert verdicts == [["complete"] * 4, ["complete"] * 4, ["complete", "skipped", "complete", "complete"]]
    ids = [report["run_id"] for report in runs(story)]
    assert (len(set(ids)), max(ids)) == (3, ids[0])  # sorted by id, the run of the future comes last
    story.check_healed(story.before, at("+0d", story))


@pytest.mark.parametrize("leap", ["-10d", "+10d"])
def test_clock_set_during_a_run(tell, process, faketime, tmp_path, leap):
    """While the clock is set back, or ahead, during a run, no duration is negative, and the rows are the same."""
    clock = tmp_path / "clock"
    answers = iter([*["+0"] * 5, leap])  # the run before: 4 answers; this one: the first tag is read, then it leaps

    def set_clock():
        clock.write_text(next(answers, leap))
        return time.time()

    story = tell("data", "all.csv", clock=set_clock)
    preload = [faketime, "-f", "+0", "printenv", "LD_PRELOAD"]
    library = subprocess.run(preload, check=True, capture_output=True, text=True).stdout.strip()
    clock.write_text("+0")
    ended = process(
        *(story.before, story.sandbox, *story.arguments),
        SMSPARTNER_CONCURRENCY="1",
        LD_PRELOAD=library,
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    assert (ended.code, ended.stderr) == (0, "")
    story.check_what_a_reader_finds(story.before)
    assert story.names_in(story.after) == story.names_in(story.before)
    (report,) = runs(story)
    read_at = [tag["extracted_at"] for tag in report["tags"]]
    assert (read_at[0] < read_at[-1]) == (leap == "+10d")  # so the clock did leap
    assert report["finished_at"] >= report["started_at"]
    assert 0 < report["seconds"] < 60
    assert all(0 <= tag["seconds"] < 60 for tag in report["tags"])
