"""A disk that fills up or can't be written, and a standard error that takes nothing."""

from __future__ import annotations

import os
import shutil

import pytest


def test_full_disk(tell, disk, process):
    """A full disk: exit code 1 and the cause; what is loaded stays whole, and with more space the next run goes on."""
    story = tell("data", "all.csv", earlier=True, large=True)
    here, fill = disk.path / "here", disk.path / "fill"
    shutil.copytree(story.before, here)
    for left in (0, 4096, 40_960, 204_800):
        space = os.statvfs(disk.path)
        fill.write_bytes(bytes(space.f_bavail * space.f_frsize - left))
        ended = process(here, story.sandbox, *story.arguments)
        assert ended.code == 1
        assert "failed: the disk is full; free some space and run again" in ended.stderr
        story.check_what_a_reader_finds(here)
        fill.unlink()
    assert disk.mount("remount,size=10m")
    story.check_healed(here, process(here, story.sandbox, *story.arguments))


@pytest.mark.parametrize("place", ["data", "all.csv"])
def test_read_only_disk(tell, disk, process, place):
    """A file system that is read-only: exit code 2, the cause, and nothing was requested."""
    story = tell(place, earlier=True)
    shutil.copytree(story.before, disk.path / "here")
    assert disk.mount("remount,ro")
    story.sandbox.forget_requests()
    ended = process(disk.path / "here", story.sandbox, *story.arguments)
    assert (ended.code, story.sandbox.requests) == (2, [])
    assert "failed: the file system is read-only; make it writable, or load elsewhere" in ended.stderr


def test_standard_error_is_full_or_closed(tell, process):
    """A standard error that takes nothing, or is closed, changes neither the exit code nor what is loaded."""
    story = tell("data", "all.csv")
    for nowhere in ("2>/dev/full", "2>&-", "<&- 2>&-"):
        folder, under = story.copy(f"here{nowhere.count('&')}"), ["sh", "-c", f'exec "$0" "$@" {nowhere}']
        ended = process(folder, story.sandbox, *story.arguments, under=under, SMSPARTNER_QUIET="0")
        story.check_healed(folder, ended)
