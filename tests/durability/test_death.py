"""SIGKILL at any moment: a reader finds each tag old or new, and the next run heals."""

from __future__ import annotations

import signal


def check_every_kill(story, forks):
    """Kill a run before each call that changes files; look, run again, look."""

    def die_and_run_again(at):
        folder = story.copy(f"at-{at}")
        killed = forks.run(folder, story.sandbox, *story.arguments, kill_at=at)
        story.check_what_a_reader_finds(folder)
        story.check_healed(folder, forks.run(folder, story.sandbox, *story.arguments))
        return killed.code

    assert set(forks.each(die_and_run_again, range(1, story.events["files"] + 1))) == {-signal.SIGKILL}


def test_killed_before_any_call_that_changes_files(tell, forks):
    """Whatever file a run was about to open, flush, move or remove when it died, nothing is half."""
    check_every_kill(tell("data", "all.parquet", earlier=True), forks)


def test_killed_while_a_person_is_erased(tell, forks):
    """Rows that no API may still have are in one of the two tables, whenever `forget` dies."""
    story = tell("data", erased=True)
    assert story.earlier != story.later
    check_every_kill(story, forks)
