"""The progress display."""

from __future__ import annotations

import io
import logging

import pytest
from rich.console import Console
from smspartner_pipelines.progress import Bar, Progress, Silent


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


def test_bar(capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal a bar counts tags and pages, on that console only, and goes away in the end."""
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    tell(Bar(console))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "2/2" in shown
    assert "tags, 2 pages" in shown
    assert capsys.readouterr() == ("", "")
