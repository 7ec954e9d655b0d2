"""SIGKILL at any moment: a reader finds each tag old or new, and the next run heals."""

from __future__ import annotations

import signal


def die_and_run_again(story, forks, at):
    """Kill a run, look, run again, look."""
    folder = story.copy(f"at-{at}")
    killed = forks.run(folder, story.sandbox, *story.arguments, kill_at=at)
    story.check_what_a_reader_finds(folder)
    story.check_healed(folder, forks.run(folder, story.sandbox, *story.arguments))
    return killed.code


def test_killed_before_any_call_that_changes_files(tell, forks, record_property):
    """Whatever file a run was about to open, flush, move or remove when it died, nothing is half."""
    story = tell("data", "all.parquet", earlier=True)
    codes = forks.each(lambda at: die_and_run_again(story, forks, at), range(1, story.events["files"] + 1))
    record_property("kills", len(codes))
    assert set(codes) == {-signal.SIGKILL}


def test_killed_while_a_person_is_erased(tell_of_one, forks, record_property):
    """Rows that no API may still have are in one of the two tables, whenever `forget` dies."""
    story = tell_of_one
    assert story.earlier != story.later
    codes = forks.each(lambda at: die_and_run_again(story, forks, at), range(1, story.events["files"] + 1))
    record_property("kills", len(codes))
    assert set(codes) == {-signal.SIGKILL}
