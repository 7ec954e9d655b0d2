"""The progress display."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable

import pytest
from rich.cells import cell_len
from rich.console import Console
from smspartner_pipelines.progress import Bar, PageCount, Progress, Silent


def tell(progress: Progress) -> None:
    """Tell how two tags are read."""
    progress.start(2)
    progress.page("a", 1, 3)
    progress.page("a", 2, 3)
    progress.tag("a", "complete")
    progress.tag("b", "unknown")
    progress.stop()


def test_silent(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal nothing is shown, and what happens is logged."""
    with caplog.at_level(logging.DEBUG, "smspartner_pipelines"):
        tell(Silent())
    assert caplog.messages == [
        *(
            "reading 2 tags",
            "tag a: page 1 of 3 arrived",
            "tag a: page 2 of 3 arrived",
            "tag a: complete",
            "tag b: unknown",
        )
    ]
    assert capsys.readouterr() == ("", "")


def shown_on(width: int, tell: Callable[[Progress], None]) -> list[str]:
    """Give each line that a terminal of this width was shown, without escapes."""
    console = Console(file=io.StringIO(), force_terminal=True, width=width)
    tell(Bar(console))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    return re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown))


def test_bar(capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal a bar counts pages and tags, on that console only."""
    last = [line for line in shown_on(120, tell) if line.strip()][-1]
    assert "2/2 pages" in last
    assert "2/2 tags" in last
    assert capsys.readouterr() == ("", "")


def test_bar_of_much_fits_80_columns() -> None:
    """Whatever there is to count, the bar is no wider than the terminal, and says pages, tags, rate and time left."""

    def tell_much(progress: Progress) -> None:
        progress.start(9_999)
        for arrived in range(1, 40):
            progress.page("a", arrived, 5_000)
        progress.stop()

    lines = shown_on(80, tell_much)
    assert [line for line in lines if cell_len(line) > 80] == []
    last = [line for line in lines if line.strip()][-1]
    assert re.search(r"39/~49,995,000 pages +0/9,999 tags +[0-9,.]+ pages/s +\S.* left", last), last


def test_pages_are_known_from_first_pages() -> None:
    """Tags not begun count as the mean of those begun; a tag that is read counts what it had."""
    count = PageCount(4)
    assert (count.total, count.arrived) == (None, 0)
    count.page("a", 1, 10)
    assert (count.total, count.is_known) == (40, False)
    count.page("b", 1, 2)
    assert (count.total, count.arrived) == (24, 2)
    count.tag("b")  # it has told 2 pages, and failed after one
    count.tag("unknown")
    assert count.total == 11 + round(11 / 3)
    count.page("d", 1, 1)
    assert (count.total, count.is_known, count.arrived, count.tags_read) == (12, True, 3, 2)
