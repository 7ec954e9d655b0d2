"""A destination that fills up, can't be written, goes away, is somebody else's, or is held by another run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

TAGS = ("gains", "loses", "same", "empty")
BUSY = "is in use by another run; wait until it has ended, or load elsewhere"
GONE = "was removed, moved or replaced while the run went on; run again"


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
        assert ended.code == (1 if left else 2)
        assert "failed: the disk is full; free some space and run again" in ended.stderr.splitlines()[0]
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
    assert "failed: the file system is read-only; make it writable or load elsewhere" in ended.stderr


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


# What goes away, or is taken over, while a run goes on.


@pytest.fixture
def half_way(tell, begin):
    """A run that has loaded its first tag and waits for the second: `half_way(*places)`."""

    def start(*places):
        story = tell(*places, earlier=True)
        story.gate.close(passes=1)
        folder = story.copy("here")
        running = begin(folder, story.sandbox, *story.arguments, "--to", "-", SMSPARTNER_CONCURRENCY="1")
        for _ in range(4):  # the header and the rows of the first tag
            assert running.stdout.readline()
        return story, folder, running

    return start


def end(story, running):
    """Let the run go on to its end; give its exit code and its words."""
    story.gate.opened.set()
    _, told = running.communicate(timeout=60)
    return running.returncode, told.splitlines()


MISFORTUNES = {
    "removed": shutil.rmtree,
    "moved away": lambda data: data.rename(data.parent.with_name("elsewhere")),
    "a file in its place": lambda data: (shutil.rmtree(data), data.write_text("mine")),
    "an empty folder in its place": lambda data: (shutil.rmtree(data), data.mkdir()),
    "its lock removed": lambda data: (data / ".lock").unlink(),
}


@pytest.mark.parametrize("misfortune", MISFORTUNES, ids=lambda name: name.replace(" ", "-"))
def test_dataset_goes_away(half_way, forks, misfortune):
    """A dataset that goes away during a run: exit code 1 and why; nothing more is written there."""
    story, folder, running = half_way("data")
    MISFORTUNES[misfortune](folder / "data")
    left = story.names_in(folder)
    code, told = end(story, running)
    assert (code, told[0], left) == (1, f"error: data: data {GONE}", story.names_in(folder))
    if misfortune == "a file in its place":
        (folder / "data").unlink()
    if misfortune == "its lock removed":
        story.check_what_a_reader_finds(folder)
    story.check_healed(folder, forks.run(folder, story.sandbox, *story.arguments))


def test_dataset_made_anew_by_another_run(half_way, forks):
    """Who removes a dataset during a run and loads it anew has a dataset of that other run alone."""
    story, folder, running = half_way("data")
    shutil.rmtree(folder / "data")
    story.gate.opened.set()  # for the other run; the first waits as long as its process does
    running.send_signal(signal.SIGSTOP)
    other = forks.run(folder, story.sandbox, *story.arguments)
    running.send_signal(signal.SIGCONT)
    code, told = end(story, running)
    assert (code, told[0]) == (1, f"error: data: data {GONE}")
    story.check_healed(folder, other)


@pytest.mark.parametrize("how", ["removed", "made anew"])
def test_folder_of_an_export_goes_away(half_way, how):
    """An export whose folder goes away during a run: exit code 1 and why; no file appears there."""
    story, folder, running = half_way("all.csv")
    shutil.rmtree(folder)
    if how == "made anew":
        folder.mkdir()
    code, told = end(story, running)
    assert (code, told[0]) == (1, f"error: all.csv: all.csv {GONE}")
    assert not folder.exists() or not list(folder.iterdir())


SPELLINGS = {
    "data": ["data", "./data", "data/", "../here/data", "link", "{folder}/data", "parquet:data", "bind"],
    "all.csv": ["all.csv", "./all.csv", "../here/all.csv", "link.csv", "{folder}/all.csv"],
}


@pytest.mark.parametrize("place", SPELLINGS)
def test_two_runs(half_way, process, shell, place):
    """However a second run spells the place: exit code 1, one sentence, nothing requested, the first goes on."""
    story, folder, running = half_way("data", "all.csv")
    (folder / "link").symlink_to("data")
    (folder / "link.csv").symlink_to("all.csv")
    story.sandbox.forget_requests()
    for spelling in SPELLINGS[place]:
        where, under = spelling.format(folder=folder), []
        if spelling == "bind":
            under = shell.inside(folder)
            (folder / "bind").mkdir()
            assert shell(f"mount --bind {folder}/data {folder}/bind") == "done"
        second = process(folder, story.sandbox, "run", *TAGS, "--to", where, under=under)
        assert (second.code, second.stderr) == (1, f"error: {where} {BUSY}\n")
    assert story.sandbox.requests == []
    for extra in ("link", "link.csv"):
        (folder / extra).unlink()
    assert end(story, running) == (0, [])


INSIDE = ["data/statuses", "data/quarantine", "data/runs/x", "data/statuses/all.csv", "data/tag_runs/all.parquet"]


@pytest.mark.parametrize("place", INSIDE)
def test_inside_a_dataset(tell, forks, place):
    """The folders of a dataset take no other destination, in which a reader would find rows twice."""
    story = tell("data", earlier=True)
    story.sandbox.forget_requests()
    for arguments in ((), ("--to", "data")):
        ended = forks.run(story.before, story.sandbox, "run", *TAGS, "--to", place, *arguments)
        inside = f"error: {place} lies inside the dataset {story.before}/data; load into another place\n"
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


@pytest.mark.parametrize("arguments", [("--to", "-"), ("--to", "data", "--json")])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_is_full(tell, process, arguments, unbuffered):
    """A standard output that takes nothing: exit code 1 and the cause."""
    story = tell("data")
    with Path("/dev/full").open("wb") as full:
        ended = process(
            *(story.before, story.sandbox, "run", *TAGS, *arguments),
            options={"stdout": full},
            PYTHONUNBUFFERED=unbuffered,
        )
    told = "writing to standard output failed: the disk is full; free some space and run again"
    assert (ended.code, ended.stderr.splitlines()[0].endswith(told)) == (1, True)
    assert "Traceback" not in ended.stderr
