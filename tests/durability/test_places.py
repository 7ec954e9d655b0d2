"""A destination that fills up, can't be written, is somebody else's, or is held by another run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from smspartner_pipelines.load import open_destination

TAGS = ("gains", "loses", "same", "empty")
BUSY = "is in use by another run; wait until it has ended, or load somewhere else"


@pytest.fixture
def shell():
    """Give a shell as the administrator of file systems of its own: `shell("mount …")`; skip where that is not allowed.

    What is mounted is seen below the folder `shell.root` by others, and by commands run under `shell.inside(folder)`;
    it is gone with the shell.
    """
    as_ordinary_user = ["--user", "--map-root-user"] if os.getuid() else []
    started = subprocess.Popen(
        ["unshare", "--mount", *as_ordinary_user, "sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def do(command):
        started.stdin.write(f"{command} && echo done || echo failed\n")
        started.stdin.flush()
        return started.stdout.readline().strip()

    do.root = Path(f"/proc/{started.pid}/root")
    entering = [
        "nsenter",
        f"--target={started.pid}",
        "--mount",
        *(["--user", "--preserve-credentials"] * bool(os.getuid())),
    ]
    do.inside = lambda folder: [*entering, "sh", "-c", 'cd "$0" && exec "$@"', str(folder)]
    with started:
        if do("true") != "done":
            pytest.skip("needs the right to mount file systems, be it in a namespace of its own")
        yield do
        started.kill()


@pytest.fixture
def disk(shell, process, tmp_path):
    """A file system of 2 MiB: `disk.outside` is its folder for readers, `disk.run(story)` loads into it."""
    (tmp_path / "disk").mkdir()
    assert shell(f"mount -t tmpfs -o size=2m tmpfs {tmp_path}/disk") == "done"

    class Disk:
        outside = Path(f"{shell.root}{tmp_path}/disk/here")

        def remount(self, options):
            assert shell(f"mount -o remount,{options} {tmp_path}/disk") == "done"

        def run(self, story):
            under = shell.inside(tmp_path / "disk" / "here")
            return process(story.before, story.sandbox, *story.arguments, under=under)

    return Disk()


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


@pytest.mark.parametrize("place", ["data", "all.csv"])
@pytest.mark.skipif(os.getuid() != 0, reason="needs to be the superuser, to become somebody else")
def test_permission_denied(tell, forks, tmp_path, place):
    """A place that belongs to somebody else: exit code 2, the cause, and nothing was requested."""
    story = tell(place, earlier=True)
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o055)
    story.sandbox.forget_requests()
    ended = forks.run(story.before, story.sandbox, *story.arguments, user=65534)
    assert (ended.code, story.sandbox.requests) == (2, [])
    assert "permission is denied; allow" in ended.stderr or "can't be written; allow" in ended.stderr


# What another run holds, or where no destination may be.

SPELLINGS = {
    "data": ["data", "./data", "data/", "../here/data", "link", "{folder}/data", "parquet:data", "bind"],
    "all.csv": ["all.csv", "./all.csv", "../here/all.csv", "link.csv", "{folder}/all.csv"],
}


@pytest.mark.parametrize("place", SPELLINGS)
def test_two_runs(tell, process, shell, place):
    """However a second run spells the place: exit code 1, one sentence, and nothing requested."""
    story = tell("data", "all.csv", earlier=True)
    folder = story.copy("here")
    (folder / "link").symlink_to("data")
    (folder / "link.csv").symlink_to("all.csv")
    story.sandbox.forget_requests()
    with open_destination(str(folder / place)).open(for_loading=True):
        for spelling in SPELLINGS[place]:
            where, under = spelling.format(folder=folder), []
            if spelling == "bind":
                under = shell.inside(folder)
                (folder / "bind").mkdir()
                assert shell(f"mount --bind {folder}/data {folder}/bind") == "done"
            second = process(folder, story.sandbox, "run", *TAGS, "--to", where, under=under)
            assert (second.code, len(second.stderr.splitlines())) == (1, 1)
            assert BUSY in second.stderr
    assert story.sandbox.requests == []


INSIDE = ["data/statuses", "data/quarantine", "data/runs/x", "data/statuses/all.csv", "data/tag_runs/all.parquet"]


@pytest.mark.parametrize("place", INSIDE)
def test_inside_a_dataset(tell, forks, place):
    """The folders of a dataset take no other destination, in which a reader would find rows twice."""
    story = tell("data", earlier=True)
    story.sandbox.forget_requests()
    ended = forks.run(story.before, story.sandbox, "run", *TAGS, "--to", place)
    inside = f"error: {place} lies inside the dataset {story.before}/data; load into another directory\n"
    assert (ended.code, ended.stderr, story.sandbox.requests) == (2, inside, [])
    story.check_what_a_reader_finds(story.before)


# Standard streams.


def test_standard_error_is_full_or_closed(tell, process):
    """A standard error that takes nothing, or is closed, changes neither the exit code nor what is loaded."""
    story = tell("data", "all.csv")
    for nowhere in ("2>/dev/full", "2>&-", "<&- 2>&-"):
        folder, under = story.copy(f"here{nowhere.count('&')}"), ["sh", "-c", f'exec "$0" "$@" {nowhere}']
        ended = process(folder, story.sandbox, *story.arguments, under=under, SMSPARTNER_QUIET="0")
        story.check_healed(folder, ended)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_is_full(tell, process, unbuffered):
    """A standard output that takes nothing: exit code 1 and the cause."""
    story = tell("data")
    arguments = ("run", *TAGS, "--to", "-")
    with Path("/dev/full").open("wb") as full:
        options = {"stdout": full}
        ended = process(story.before, story.sandbox, *arguments, options=options, PYTHONUNBUFFERED=unbuffered)
    assert ended.code == 1
    assert "writing standard output failed: the disk is full; free some space and run again" in ended.stderr
    assert "Traceback" not in ended.stderr
