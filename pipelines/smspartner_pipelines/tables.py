"""Tables for people: styled and folded on a terminal, plain lines in files and where there are very many rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from smspartner.redaction import REDACT

_MOST_STYLED_ROWS = 500
"""Beyond, laying a table out takes longer than anybody would look at it: half a millisecond a row."""

_GAP = "  "


@dataclass(frozen=True)
class Column:
    """A column's name; whether its cells stand to the right, and whether a long one may be folded."""

    name: str
    right: bool = False
    fold: bool = False


@dataclass(frozen=True)
class Cell:
    """A text in a style of `rich`."""

    text: str
    style: str = ""


def print_table(console: Console, columns: Sequence[Column], rows: Iterable[Sequence[str | Cell]]) -> None:
    """Print rows under the names of the columns."""
    if console.quiet:
        return
    cells = [[Cell(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    if console.is_terminal and len(cells) <= _MOST_STYLED_ROWS:
        console.print(_styled(columns, cells))
    else:
        console.out("\n".join(_plain(columns, cells)), highlight=False)


def _styled(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(
            column.name,
            justify="right" if column.right else "left",
            no_wrap=not column.fold,
            overflow="fold" if column.fold else "ellipsis",
        )
    for row in rows:
        table.add_row(*(f"[{cell.style}]{escape(cell.text)}[/]" if cell.style else escape(cell.text) for cell in row))
    return table


def _plain(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> list[str]:
    texts = [[column.name for column in columns], *([_printable(REDACT(cell.text)) for cell in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*texts, strict=True)]
    return [_line(columns, widths, row) for row in texts]


def _line(columns: Sequence[Column], widths: Sequence[int], row: Sequence[str]) -> str:
    padded = []
    for column, width, text in zip(columns, widths, row, strict=True):
        space = " " * (width - cell_len(text))
        padded.append(space + text if column.right else text + space)
    return _GAP.join(padded).rstrip()


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(sign if sign.isprintable() else "?" for sign in text)
