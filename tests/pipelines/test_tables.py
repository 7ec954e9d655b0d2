"""Tables fit the console, whatever stands in them."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console
from smspartner_pipelines.tables import Cell, Column, print_table

COLUMNS = (
    *(Column("tag"), Column("verdict"), Column("rows", right=True), Column("waiting", right=True)),
    *(Column("quarantined", right=True), Column("reason", fold=True)),
)
REASON = 'the API answered code 4 (message not found), "Message introuvable"'
ROWS = [
    ("promo", Cell("complete", "green"), "4,812", "0", "0", Cell("all 4812 rows on 5 pages", optional=True)),
    ("x" * 20, Cell("unknown", "yellow"), "", "", "", REASON),
    ("促销" * 10, Cell("incomplete", "bold red"), "", "", "", "page 2 of 3 is short"),
    ("🎉" * 20, Cell("complete"), "1,234,567", "98,765", "12", Cell("all of it", optional=True)),
    ("t[bold]", Cell("failed"), "", "", "", "w" * 200),
]


def printed(width: int, rows: list[tuple[str | Cell, ...]] = ROWS, *, terminal: bool = False) -> list[str]:
    """Print the table, and give its lines."""
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, highlight=False)
    print_table(console, COLUMNS, rows)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [24, 40, 60, 80, 100, 120, 160, 400])
def test_never_wider_than_the_console(width: int) -> None:
    """No line has more cells than the console, wide characters counted as two, and no fact is lost."""
    lines = printed(width)
    assert [line for line in lines if cell_len(line) > width] == []
    text = re.sub(r"\s", "", "".join(lines))
    facts = [cell.text if isinstance(cell, Cell) else cell for row in ROWS for cell in row]
    needed = [fact for fact in facts if fact and not fact.startswith("all ")]
    assert [fact for fact in needed if fact.replace(" ", "") not in text] == []


def test_at_80_columns() -> None:
    """A reason that does not fit beside its row stands beneath it, folded between words; success needs none there."""
    assert printed(80, ROWS[:2]) == [
        "tag                   verdict    rows  waiting  quarantined",
        "promo                 complete  4,812        0            0",
        "xxxxxxxxxxxxxxxxxxxx  unknown",
        f"  {REASON}",
    ]


def test_where_there_is_room() -> None:
    """On a wide console each row is one line, folded in its last column only."""
    assert printed(108, ROWS[:2]) == [
        "tag                   verdict    rows  waiting  quarantined  reason",
        "promo                 complete  4,812        0            0  all 4812 rows on 5 pages",
        "xxxxxxxxxxxxxxxxxxxx  unknown                                the API answered code 4 (message not found),",
        '                                                             "Message introuvable"',
    ]


def test_styles_change_no_text() -> None:
    """A terminal is shown the same lines, in colours; what looks like markup is text."""
    styled = printed(80, terminal=True)
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in styled]
    assert plain == printed(80)
    assert styled != plain


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colour_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """`NO_COLOR`, and a terminal that knows no escapes, get no colours."""
    monkeypatch.setenv(name, value)
    assert not any(re.search(r"\x1b\[[0-9;]*3[0-9]", line) for line in printed(80, terminal=True))


def test_what_moves_the_cursor_is_not_printed() -> None:
    """A text from elsewhere can't move the cursor or end a line."""
    assert "\x1b" not in "".join(printed(80, [("a\x1b[2Jb", "failed", "", "", "", "c\nd")]))
