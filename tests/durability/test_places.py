"""A disk that fills up or can't be written, and a standard error that takes nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


class Disk:
    """A file system of 2 MiB, seen by others below `outside`; `run(story)` loads into it."""

    def __init__(self, folder, process):
        as_ordinary_user = ["--user", "--map-root-user"] if os.getuid() else []
        self.shell = subprocess.Popen(
            ["unshare", "--mount", *as_ordinary_user, "sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.outside, self._folder, self._process = Path(f"/proc/{self.shell.pid}/root{folder}/here"), folder, process
        if not self.do(f"mount -t tmpfs -o size=2m tmpfs {folder}"):
            pytest.skip("needs the right to mount file systems, be it in a namespace of its own")

    def do(self, command):
        """Run a command as its administrator; return whether that worked."""
        self.shell.stdin.write(f"{command} && echo done || echo failed\n")
        self.shell.stdin.flush()
        return self.shell.stdout.readline() == "done\n"

    def remount(self, options):
        """Change how it is mounted."""
        assert self.do(f"mount -o remount,{options} {self._folder}")

    def run(self, story):
        """Run the command of a story there."""
        entering = [f"--target={self.shell.pid}", "--mount"]
        entering += ["--user", "--preserve-credentials"] * bool(os.getuid())
        under = ["nsenter", *entering, "sh", "-c", 'cd "$0" && exec "$@"', str(self._folder / "here")]
        return self._process(story.before, story.sandbox, *story.arguments, under=under)


@pytest.fixture
def disk(process, tmp_path):
    """Mount a small file system that is gone after the test."""
    (tmp_path / "disk").mkdir()
    disk = Disk(tmp_path / "disk", process)
    with disk.shell:
        yield disk
        disk.shell.kill()


def test_full_disk(tell, disk):
    """A full disk: exit code 1 and the cause; what is loaded stays whole, and with more space the next run goes on."""
    story = tell("data", "all.csv", earlier=True, large=True)
    shutil.copytree(story.before, disk.outside)
    fill, space = disk.outside.with_name("fill"), os.statvfs(disk.outside)
    for left in (0, 4096, 40_960, 204_800):
        fill.write_bytes(bytes(space.f_bavail * space.f_frsize - left))
        ended = disk.run(story)
        assert ended.code == 1
        assert "failed: the disk is full; free some space and run again" in ended.stderr
        story.check_what_a_reader_finds(disk.outside)
        fill.unlink()
    disk.remount("size=10m")
    story.check_healed(disk.outside, disk.run(story))


@pytest.mark.parametrize("place", ["data", "all.csv"])
def test_read_only_disk(tell, disk, place):
    """A file system that is read-only: exit code 2, the cause, and nothing was requested."""
    story = tell(place, earlier=True)
    shutil.copytree(story.before, disk.outside)
    disk.remount("ro")
    story.sandbox.forget_requests()
    ended = disk.run(story)
    assert (ended.code, story.sandbox.requests) == (2, [])
    assert "failed: the file system is read-only; make it writable, or load elsewhere" in ended.stderr


def test_standard_error_is_full_or_closed(tell, process):
    """A standard error that takes nothing, or is closed, changes neither the exit code nor what is loaded."""
    story = tell("data", "all.csv")
    for nowhere in ("2>/dev/full", "2>&-", "<&- 2>&-"):
        folder, under = story.copy(f"here{nowhere.count('&')}"), ["sh", "-c", f'exec "$0" "$@" {nowhere}']
        ended = process(folder, story.sandbox, *story.arguments, under=under, SMSPARTNER_QUIET="0")
        story.check_healed(folder, ended)
