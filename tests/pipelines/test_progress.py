"""The progress display."""

from __future__ import annotations

import io
import logging
import re

import pytest
from rich.cells import cell_len
from rich.console import Console
from smspartner_pipelines.progress import RunProgress, bar_on, progress_on_terminal


def go_through(progress: RunProgress) -> None:
    """Read two tags of three, one of them in two passes, and a part of the last."""
    progress.start(3)
    for arrived in (1, 2, 1, 2):
        progress.page("a", arrived, 3)
    progress.tag("a", "complete")
    progress.tag("b", "unknown")
    progress.page("[b]promo[/b]", 2, 40)
    progress.stop()


def test_without_a_terminal(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal nothing is shown, and what happens is logged."""
    with caplog.at_level(logging.DEBUG, "smspartner_pipelines"):
        go_through(progress_on_terminal(quiet=False))
    first, _, second, *_, complete, unknown, _ = caplog.messages
    assert (first, second) == ("reading 3 tags", "tag a: page 2 of 3 arrived")
    assert (complete, unknown, tuple(capsys.readouterr())) == ("tag a: complete", "tag b: unknown", ("", ""))


@pytest.mark.parametrize("width", [40, 80, 200])
def test_bar(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal a bar counts tags and names the one at hand, on that console only, and is no wider than it."""
    shown = io.StringIO()
    bar = bar_on(Console(file=shown, force_terminal=True, width=width))
    go_through(RunProgress(bar))
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.getvalue()))
    assert [line for line in lines if cell_len(line) > width] == []
    last = re.sub(r"\S+:\S+ ", "", [line for line in lines if line.strip()][-1].lstrip("━╸╺ ")).strip()
    assert last == "2/3 tags [b]promo[/b], page 2 of 40" or width == 40
    assert (bar.tasks[0].completed, capsys.readouterr()) == (2.05, ("", ""))
