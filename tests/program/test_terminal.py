"""What a terminal is shown, by a real one; what files and pipes get instead is tested beside each command."""

from __future__ import annotations

import os
import pty
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COLOUR = re.compile(r"\x1b\[[0-9;]*(3|4)[0-9]m")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture
def on_terminal(here: Path, start_sandbox: Any, campaign: Any, smspartner: Any) -> Callable[..., str]:
    """Run the main job on a terminal of 80 columns; give all that it was sent."""

    def run(*arguments: str, **changes: str) -> str:
        ours, theirs = pty.openpty()
        options = {"capture_output": False, "stdin": theirs, "stdout": theirs, "stderr": theirs}
        environment = {"TERM": "xterm-256color", "COLUMNS": "80", "NO_COLOR": None, **changes}
        changes_only = {name: value for name, value in environment.items() if value is not None}
        sandbox = start_sandbox([campaign("promo", 5), campaign("促销活动", 2)], page_size=2)
        tags = ("promo", "促销活动", "gone")
        smspartner(sandbox, "run", *tags, "--to", "data", *arguments, options=options, **changes_only)
        os.close(theirs)
        shown = b""
        try:
            while some := os.read(ours, 1 << 16):
                shown += some
        except OSError:  # so a terminal says that nobody is there any more
            pass
        os.close(ours)
        return shown.decode("utf-8")

    return run


def test_bar_and_colours(on_terminal: Callable[..., str]) -> None:
    """On a terminal there is a bar, then a summary in colours."""
    shown = on_terminal()
    plain = ESCAPE.sub("", shown)
    assert "/3 tags" in plain
    assert COLOUR.search(shown)
    lines = re.split(r"[\r\n]+", plain)
    assert [line.split()[:2] for line in lines if line.startswith(("促", "gone"))] == [
        ["促销活动", "2"],
        ["gone:", "unknown:"],
    ]


def test_no_colour(on_terminal: Callable[..., str]) -> None:
    """With NO_COLOR the same is shown without colours."""
    shown = on_terminal(NO_COLOR="1")
    assert "/3 tags" in shown
    assert not COLOUR.search(shown)


def test_dumb_terminal(on_terminal: Callable[..., str]) -> None:
    """A terminal that knows no escapes is sent none, and no bar."""
    shown = on_terminal(TERM="dumb")
    assert "\x1b" not in shown
    assert "promo" in shown
    assert "/3 tags" not in shown


def test_quiet(on_terminal: Callable[..., str]) -> None:
    """With --quiet a run that went well shows nothing at all."""
    assert on_terminal("--quiet") == ""
