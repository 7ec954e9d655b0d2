"""What a terminal is shown, by a real one; what files and pipes get instead is tested beside each command."""

from __future__ import annotations

import os
import pty
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from faults import Fault
from rich.cells import cell_len

COLOUR = re.compile(r"\x1b\[[0-9;]*(?:3|4)[0-9]m")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
TAGS = ("promo", "促销活动", "gone", "struck", "odd")
RED, GREEN, YELLOW = 31, 32, 33


@pytest.fixture
def sandbox(start_sandbox: Any, campaign: Any, api_row: Any) -> Any:
    """Serve tags of several states, two rows on a page."""
    odd = type(campaign("x")).of_rows("odd", [api_row(1), api_row(2, status="?")])
    served = [campaign("promo", 5), campaign("促销活动", 2), campaign("struck"), odd]
    return start_sandbox(served, page_size=2, faults=[Fault("html", tag="struck")])


@pytest.fixture
def on_terminal(sandbox: Any, smspartner: Any) -> Callable[..., str]:
    """Run a command on a terminal of 80 columns; give all that it was sent."""

    def run(*arguments: str, **changes: str) -> str:
        ours, theirs = pty.openpty()
        options = {"capture_output": False, "stdin": theirs, "stdout": theirs, "stderr": theirs}
        settings = {"TERM": "xterm-256color", "COLUMNS": "80", "NO_COLOR": "", **changes}
        with ThreadPoolExecutor(1) as pool:  # a terminal that nobody reads soon takes no more
            shown = pool.submit(read_all, ours)
            smspartner(sandbox, *arguments, options=options, **settings)
            os.close(theirs)
        return shown.result()

    return run


def read_all(terminal: int) -> str:
    """Read what a terminal is sent until its other end is closed."""
    shown = b""
    try:
        while some := os.read(terminal, 1 << 16):
            shown += some
    except OSError:  # so a terminal says that nobody is there any more
        pass
    os.close(terminal)
    return shown.decode("utf-8")


def lines_of(shown: str) -> list[str]:
    """Give the lines of a terminal, without escapes."""
    return [line for line in re.split(r"[\r\n]+", ESCAPE.sub("", shown)) if line]


def test_summary(on_terminal: Callable[..., str]) -> None:
    """There is a bar with tags done and the tag at hand, then a summary whose last lines, in red, name what failed."""
    shown = on_terminal("run", *TAGS, "--to", "data")
    assert re.search(rf"━ 5/5 tags \S+ ({'|'.join(TAGS)})", ESCAPE.sub("", shown))
    assert [line for line in lines_of(shown) if cell_len(line) > 80] == []
    summary = lines_of(shown[shown.rindex("\x1b[2K") :])
    assert [line.split()[:2] for line in summary[1:4]] == [["promo", "5"], ["促销活动", "2"], ["odd", "1"]]
    begins = {
        "gone: unknown: ": YELLOW,
        "in quarantine: 1 row of odd; `smspartner quarantine data` counts": YELLOW,
        "struck: failed: page 1: the body is a web page": RED,
        "run again: smspartner run struck … (with the options of this run)": RED,
        "exit code 3: some tags are incomplete": RED,
    }
    assert [colour for text, colour in begins.items() if f"\x1b[{colour}m{text}" not in shown] == []
    assert sorted(begins, key=shown.index) == list(begins)


def test_no_word_is_broken(on_terminal: Callable[..., str], sandbox: Any, smspartner: Any) -> None:
    """On a narrow terminal, lines end between words: all words are there, each in one piece."""
    smspartner(sandbox, "run", *TAGS, "--to", "data", "--quiet")
    run = ("run", *TAGS, "--to", "data", "--refresh", "all", "--quiet")
    wrong = ("tags", "a-destination-that-is-not-there")
    faults = ("sandbox", "--list-faults")
    for columns, arguments in ((30, run), (40, faults), (60, ("quarantine", "data")), (52, wrong)):
        narrow = lines_of(on_terminal(*arguments, COLUMNS=str(columns)))
        ended = smspartner(sandbox, *arguments)
        assert " ".join(narrow).split() == (ended.stdout + ended.stderr).split()
        assert max(map(cell_len, narrow)) <= columns


def test_tags(on_terminal: Callable[..., str]) -> None:
    """`tags` colours each line by the state of its tag."""
    on_terminal("run", *TAGS, "--to", "data", "--quiet")
    shown = on_terminal("tags", "data")
    coloured = [(int(colour), set(line.split())) for colour, line in re.findall(r"\x1b\[([0-9]+)m(.*?)\x1b\[0m", shown)]
    for tag, state, expected in (
        ("promo", "settled", GREEN),
        ("促销活动", "settled", GREEN),
        ("gone", "unknown", YELLOW),
        ("odd", "quarantine", YELLOW),
        ("struck", "failed", RED),
    ):
        assert [colour for colour, words in coloured if {tag, state} <= words] == [expected]


def test_lines_of_tags_fit(on_terminal: Callable[..., str]) -> None:
    """A terminal too narrow for the lines of `tags` gets them whole, without the time of the last reading."""
    on_terminal("run", *TAGS, "--to", "data", "--quiet")
    shown = {columns: lines_of(on_terminal("tags", "data", COLUMNS=str(columns))) for columns in (80, 50)}
    assert [line.split()[:5] for line in shown[50][:4]] == [line.split()[:5] for line in shown[80][:4]]
    assert [("last read" in lines[0], max(map(cell_len, lines)) <= columns) for columns, lines in shown.items()] == [
        (True, True),
        (False, True),
    ]


def test_reading_shows_progress(on_terminal: Callable[..., str]) -> None:
    """`validate` and `report` show that they are reading; with `--quiet` nothing is shown."""
    on_terminal("run", *TAGS, "--to", "data", "--quiet")
    for command in ("validate", "report"):
        assert "reading data" in on_terminal(command, "data")
    for quiet in (("validate", "data"), ("run", "promo", "gone", "--to", "data")):
        assert on_terminal(*quiet, "--quiet") == ""


@pytest.mark.parametrize("changes", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour(on_terminal: Callable[..., str], changes: dict[str, str]) -> None:
    """With NO_COLOR the same is shown without colours; a terminal that knows no escapes is sent none, and no bar."""
    shown = on_terminal("run", "promo", "gone", "--to", "data", **changes)
    assert not COLOUR.search(shown)
    assert "TERM" not in changes or "\x1b" not in shown
    assert ("2/2 tags" in shown, "promo  " in shown) == ("TERM" not in changes, True)
