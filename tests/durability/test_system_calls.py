"""Every write, sync and move as the system sees it: in an order that outlives a power failure."""

from __future__ import annotations

import re
import signal
import subprocess
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import pytest

CHANGING = ("write", "fsync", "rename", "unlink", "mkdir")
CALL = re.compile(
    r"^(?P<thread>\d+) +(?P<name>\w+)\((?:\d+<(?P<file>[^>]*)>|\"(?P<path>[^\"]*)\"(?:, \"(?P<to>[^\"]*)\")?)"
)


@dataclass(frozen=True)
class Call:
    """The `number`-th call of a name that the main thread makes, on a path (and to another) within the folder."""

    name: str
    number: int
    path: Path
    to: Path | None


TAGS = ("gains", "loses", "same", "empty")


@pytest.fixture
def run_traced(forks, strace):
    """Run the command of a story under strace: `run_traced(story, folder, *options)`."""

    def run(story, folder, *options):
        def attach(process):
            written = folder.with_name(f"{folder.name}.calls")
            command = [strace, "-f", "-y", "-o", str(written), "-p", str(process), *options]
            traced = subprocess.run(command, check=False, capture_output=True, timeout=60)
            assert traced.returncode in {0, -signal.SIGKILL}, traced.stderr

        return forks.run(folder, story.sandbox, *story.arguments, meanwhile=attach, wait_for_tracer=True)

    return run


def calls(folder: Path) -> list[Call]:
    """Read what strace wrote down."""
    found, numbers, main = [], dict.fromkeys(CHANGING, 0), None
    for line in folder.with_name(f"{folder.name}.calls").read_text().splitlines():
        match = CALL.match(line)
        main = main or line.split()[0]
        if match is None or match["name"] not in CHANGING or match["thread"] != main:
            continue
        numbers[match["name"]] += 1
        path, to = (folder / match[name] if match[name] else None for name in ("path", "to"))
        path = path or Path(match["file"])
        if path.is_relative_to(folder) and " = -1 " not in line:
            found.append(Call(match["name"], numbers[match["name"]], path, to))
    return found


@pytest.mark.parametrize("earlier", [False, True], ids=["a-first-load", "replaced"])
def test_order(tell, run_traced, earlier):
    """Before a tag counts as loaded, its bytes, its name and the folder of its name are on the disk, in order."""
    story = tell("data", "all.csv", earlier=earlier)
    folder = story.copy("traced")
    assert run_traced(story, folder, "-e", f"trace={','.join(CHANGING)}").code == 0
    found = calls(folder)
    moves = [at for at, call in enumerate(found) if call.name == "rename"]
    assert sum(found[at].to.parent.name == "statuses" for at in moves) == len(TAGS)
    for at in moves:
        names = {found[at].path, *(call.path for call in found[:at] if call.to == found[at].path)}
        of_the_file = [call.name for call in found[:at] if call.path in names and call.name != "rename"]
        assert of_the_file[-2:] == ["write", "fsync"]
        moving = takewhile(lambda call: call.name in {"rename", "fsync"}, found[at:])
        assert ("fsync", found[at].to.parent) in [(call.name, call.path) for call in moving]
    for at, call in enumerate(found):
        if call.name == "mkdir" or (call.name == "unlink" and call.path.suffix == ".parquet"):
            until = next((move for move in moves if move > at), len(found))
            assert ("fsync", call.path.parent) in [(later.name, later.path) for later in found[at:until]]
