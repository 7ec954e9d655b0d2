"""SIGKILL at any moment: a reader finds each tag old or new, and the next run heals."""

from __future__ import annotations

import signal

import pytest

STORIES = {
    "a first load": {"places": ("data", "all.csv.gz")},
    "all tags replaced": {"places": ("data", "all.parquet"), "earlier": True},
}


@pytest.fixture(params=STORIES, ids=lambda name: name.replace(" ", "-"))
def story(request, tell):
    """What is there before, what a run makes of it, and where."""
    told = STORIES[request.param]
    return tell(*told["places"], earlier=told.get("earlier", False))


def die_and_run_again(story, forks, name, **fate):
    """Kill a run, look, run again, look."""
    folder = story.copy(name)
    killed = forks.run(folder, story.sandbox, *story.arguments, **fate)
    story.check_what_a_reader_finds(folder)
    story.check_healed(folder, forks.run(folder, story.sandbox, *story.arguments))
    return killed.code


def test_killed_before_any_call_that_changes_files(story, forks, record_property):
    """Whatever file a run was about to open, flush, move or remove when it died, nothing is half."""
    points = range(1, story.events["files"] + 1)
    codes = forks.each(lambda at: die_and_run_again(story, forks, f"at-{at}", kill_at=at), points)
    record_property("kills", len(codes))
    assert set(codes) == {-signal.SIGKILL}


@pytest.mark.parametrize("command", ["forget", "replay"])
def test_killed_while_what_is_loaded_is_mended(command, tell_of_one, forks, record_property):
    """Rows that no API may still have are in one of the two tables, whenever a command dies that moves them."""
    story = tell_of_one(command)
    assert story.earlier != story.later
    points = range(1, story.events["files"] + 1)
    codes = forks.each(lambda at: die_and_run_again(story, forks, f"at-{at}", kill_at=at), points)
    record_property("kills", len(codes))
    assert set(codes) == {-signal.SIGKILL}


def test_killed_while_a_buffer_fills(story, forks, record_property):
    """The same where a file is being filled, at every tenth piece of it."""
    points = range(1, story.events["writes"] + 1, 10)
    codes = forks.each(lambda at: die_and_run_again(story, forks, f"at-{at}", kill_at_write=at), points)
    record_property("kills", len(codes))
    assert set(codes) == {-signal.SIGKILL}


SIZES = (0, 1, 500, 4096, 8191, 8192, 8193, 12_000, 16_384, 16_385, 20_000, 24_000)


def test_killed_within_a_write(tell, forks, record_property):
    """Whatever byte of a file was the last one to be written, nothing is half."""
    story = tell("data", "all.csv", "all.parquet", earlier=True, large=True)
    codes = forks.each(lambda size: die_and_run_again(story, forks, f"at-{size}", die_past=size), SIZES)
    record_property("kills", len(codes))
    assert set(codes) == {-signal.SIGXFSZ}
