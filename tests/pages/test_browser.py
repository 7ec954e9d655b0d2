"""The watch over pages notices what it must: else tests of pages would prove nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

FAULTY = """<!doctype html><html><head><title>x</title></head><body>
<img src="https://example.org/logo.png"><script>console.error("broken"); undefined.call()</script></body></html>"""


def test_a_page_that_leaves_or_breaks_is_noticed(visit: Callable[..., Any], tmp_path: Path) -> None:
    """A test of a page sees requests beyond the page, errors of its scripts, and what screen readers can't read."""
    page = tmp_path / "faulty.html"
    page.write_text(FAULTY, encoding="utf-8")
    visited = visit(page)
    faults = visited.faults()
    assert visited.requests == ["https://example.org/logo.png"]
    assert len(visited.complaints) == 3  # what was said, what was raised, and the image
    assert [fault.split()[0] for fault in faults] == ["html-has-lang", "image-alt"]
    visited.requests.clear()
    visited.complaints.clear()
