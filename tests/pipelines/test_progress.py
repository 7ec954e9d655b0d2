"""The progress display."""

from __future__ import annotations

import io
import logging
import re

import pytest
from rich.cells import cell_len
from rich.console import Console
from smspartner.reading import Progress
from smspartner_pipelines.progress import RunProgress, bar_on, progress_on_terminal


def go_through(progress: Progress) -> None:
    """Read two tags, one of them in two passes."""
    progress.start(2)
    for arrived in (1, 2, 1, 2):
        progress.page("a", arrived, 3)
    progress.tag("a", "complete")
    progress.tag("b", "unknown")
    progress.stop()


def test_without_a_terminal(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal nothing is shown, and what happens is logged."""
    with caplog.at_level(logging.DEBUG, "smspartner_pipelines"):
        go_through(progress_on_terminal(quiet=False))
    assert (caplog.messages[0], caplog.messages[2], caplog.messages[-2:]) == (
        "reading 2 tags",
        "tag a: page 2 of 3 arrived",
        ["tag a: complete", "tag b: unknown"],
    )
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_bar(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal a bar counts tags and names the one at hand, on that console only, and is no wider than it."""
    lasts = []
    for go in (go_through, go_half_through):
        console = Console(file=io.StringIO(), force_terminal=True, width=width)
        go(RunProgress(bar_on(console)))
        shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())  # type: ignore[attr-defined]
        lines = [line.strip() for line in re.split(r"[\r\n]+", shown) if line.strip()]
        assert [line for line in lines if cell_len(line) > width] == []
        lasts.append(re.sub(r"\S+:\S+ ", "", lines[-1].lstrip("━╸╺ ")))
    assert capsys.readouterr() == ("", "")
    if width >= 80:
        assert lasts == ["2/2 tags b", "1/3 tags [b]promo[/b], page 2 of 40"]


def go_half_through(progress: Progress) -> None:
    """Read one tag of three, and a part of another."""
    progress.start(3)
    progress.tag("a", "complete")
    progress.page("[b]promo[/b]", 2, 40)
    progress.stop()
