"""Ctrl-C, SIGTERM and SIGHUP at any moment: exit code 130, a report of what was begun, and nothing lies about."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path

import pytest
from smspartner_pipelines.sandbox import Fault

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
AT_ONCE = "error: interrupted\n"
"""What is said where no run has begun, or where it has come to its end and only writes its summary."""

IN_ORDER = re.compile(
    r"run again: the same command, since an export holds the tags of one run\n"
    r"exit code 130: interrupted; tags that were loaded stay loaded\n(error: interrupted\n)?\Z"
)
"""How the summary ends of a run that was interrupted."""


@pytest.fixture
def story(tell):
    """All tags of a dataset, and an export, replaced."""
    return tell("data", "all.csv", earlier=True)


def reports(folder):
    """Give the exit codes of the runs that are reported, the oldest first."""
    found = [json.loads(path.read_text("utf-8")) for path in (folder / "data" / "runs").glob("*.json")]
    return [report["exit_code"] for report in sorted(found, key=lambda report: report["started_at"])]


def check_interrupted(story, folder, code, told):
    """A run that was interrupted says so, has kept its report and leaves nothing but what belongs there."""
    if code == 0:
        assert (told, reports(folder)) == ("", [0, 0])
    else:
        in_order = IN_ORDER.search(told)
        assert (code, bool(in_order or told.endswith(AT_ONCE)), "Traceback" in told) == (130, True, False)
        assert reports(folder) in ([[0, 130]] if in_order else [[0], [0, 0], [0, 130]])
    story.check_what_a_reader_finds(folder)
    assert set(story.names_in(folder)) <= set(story.names_in(story.before)) | set(story.names_in(story.after))


@pytest.mark.parametrize(
    ("signals", "points"),
    [([INT], 20), ([TERM], 16), ([HUP], 4), ([INT, INT], 16), ([TERM, INT, TERM], 16)],
    ids=["ctrl-c", "sigterm", "sighup", "ctrl-c-twice", "three"],
)
def test_anywhere(story, forks, signals, points):
    """Wherever a process is, from its first line to its last, one, two or three signals end it in order."""
    total = forks.run(story.copy("counted"), story.sandbox, *story.arguments, count=True).events["all"]

    def interrupt(point):
        folder = story.copy(f"at-{point}")
        at = 1 + (2 * point + 1) * (total - 200) // (2 * points)
        fate = {"signal_at": at, "signals": signals, "pause": 0.0005 * (1 + point % 4)}
        ended = forks.run(folder, story.sandbox, *story.arguments, **fate)
        check_interrupted(story, folder, ended.code, ended.stderr)
        story.check_healed(folder, forks.run(folder, story.sandbox, *story.arguments))
        return ended.code

    codes = forks.each(interrupt, range(points))
    assert {130} <= set(codes) <= {0, 130}


@pytest.fixture
def run_under(strace, story, process):
    """Run the command as a real process under strace, which sends signals: `run_under(folder, *options, …)`."""

    def run(folder, *options, **changes):
        written = str(folder.with_name(f"{folder.name}.calls"))
        under = [strace, "-f", "-o", written, "-e", "trace=openat", *options]
        return process(folder, story.sandbox, *story.arguments, under=under, **changes)

    return run


def test_from_the_first_line(story, forks, run_under):
    """While the process begins and imports what it needs, signals end it with 130 and one line, without a traceback."""
    folder = story.copy("recorded")
    assert run_under(folder).code == 0
    lines = folder.with_name("recorded.calls").read_text().splitlines()
    main_thread = [line for line in lines if line.startswith(lines[0].split()[0] + " ")]
    ready = next(at for at, line in enumerate(main_thread, 1) if "smspartner_pipelines" in line and "output" in line)
    last = len(main_thread) - 1

    def interrupt(point):
        number, at = (INT, TERM)[point % 2], ready + 1 + point * (last - ready) // 12
        folder = story.copy(f"at-{at}")
        name = number.name.removeprefix("SIG")
        ended = run_under(folder, "-e", f"inject=openat:signal={name}:when={at}")
        check_interrupted(story, folder, ended.code, ended.stderr)
        story.check_healed(folder, forks.run(folder, story.sandbox, *story.arguments))
        return ended.code

    codes = forks.each(interrupt, range(12))
    assert {130} <= set(codes) <= {0, 130}


@pytest.mark.parametrize("times", [1, 2])
def test_while_great_expectations_is_imported(story, forks, process, times):
    """A signal, or a second one, while that library is imported in the background ends the run as any other does."""
    story.sandbox.faults.add(Fault("slow", tag="empty", seconds=60))
    folder = story.copy("interrupted")

    def interrupt(running):
        while "pydantic_core" not in Path(f"/proc/{running.pid}/maps").read_text():
            assert running.poll() is None
            time.sleep(0.005)
        for _ in range(times):
            running.send_signal(TERM)
            time.sleep(0.05)  # two that come together are one

    ended = process(folder, story.sandbox, *story.arguments, SMSPARTNER_VALIDATE="gx", meanwhile=interrupt)
    check_interrupted(story, folder, ended.code, ended.stderr)
    assert ended.code == 130
    story.sandbox.faults.clear()
    story.check_healed(folder, forks.run(folder, story.sandbox, *story.arguments))
