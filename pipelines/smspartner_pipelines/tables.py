"""Tables for people that are never wider than their console: what does not fit beside stands beneath its row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.text import Text
from smspartner.redaction import REDACT

_MOST_STYLED_ROWS = 500
"""Beyond, styling a table takes longer than anybody would look at it."""

_GAP = 2
_LEAST_FOLDED = 30
"""Cells that a text needs to be folded beside the other columns, rather than beneath them."""


@dataclass(frozen=True)
class Column:
    """A column's name; whether its cells stand to the right, and whether they are sentences, which may be folded."""

    name: str
    right: bool = False
    fold: bool = False


@dataclass(frozen=True)
class Cell:
    """A text in a style of `rich`; one that is `optional` is left out where it would stand beneath its row."""

    text: str
    style: str = ""
    optional: bool = False


_Line = list[tuple[str, str]]
"""Texts with their styles."""


def print_table(console: Console, columns: Sequence[Column], rows: Iterable[Sequence[str | Cell]]) -> None:
    """Print rows under the names of the columns."""
    if console.quiet:
        return
    table = [[_clean(Cell(cell) if isinstance(cell, str) else cell) for cell in row] for row in rows]
    lines = _Layout(console, columns, table).lines()
    if console.is_terminal and len(table) <= _MOST_STYLED_ROWS:
        for line in lines:
            console.print(Text.assemble(*line), soft_wrap=True)
    else:
        console.out("\n".join("".join(text for text, _ in line).rstrip() for line in lines), highlight=False)


def _clean(cell: Cell) -> Cell:
    """Hide secrets, and what would move the cursor."""
    text = REDACT(cell.text)
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() else "?" for sign in text)
    return Cell(text, cell.style, cell.optional)


class _Layout:
    """Where the cells of a table go, given the width of a console in cells: wide characters count as two."""

    def __init__(self, console: Console, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
        self._columns = columns
        self._rows = rows
        self._width = console.width
        self._fold = partial(_folded, console)
        widths = [max(map(cell_len, texts)) for texts in zip(*self._texts(), strict=True)]
        self._widths = self._beside(widths)

    def _texts(self) -> Iterator[list[str]]:
        yield [column.name for column in self._columns]
        for row in self._rows:
            yield [cell.text for cell in row]

    def _beside(self, widths: list[int]) -> list[int]:
        """Give the widths of the columns that stand side by side."""
        left = self._width - _total([*widths[:-1], 0])
        if left < widths[-1] and left >= _LEAST_FOLDED and self._columns[-1].fold:
            return [*widths[:-1], left]
        while len(widths) > 1 and _total(widths) > self._width:
            widths = widths[:-1]
        return widths if len(widths) > 1 else [min(widths[0], self._width)]

    def lines(self) -> Iterator[_Line]:
        """Give the lines, the names of the columns first."""
        yield from self._side_by_side([Cell(column.name, "bold") for column in self._columns])
        for row in self._rows:
            yield from self._side_by_side(row)
            yield from self._beneath(row)

    def _side_by_side(self, row: Sequence[Cell]) -> Iterator[_Line]:
        first, last = [*row], row[len(self._widths) - 1]
        folded = self._fold(last.text, self._widths[-1])
        first[len(self._widths) - 1] = Cell(folded[0], last.style)
        yield [piece for place, width in enumerate(self._widths) for piece in self._padded(first[place], place, width)]
        for more in folded[1:]:
            yield [(" " * _total([*self._widths[:-1], 0]), ""), (more, last.style)]

    def _padded(self, cell: Cell, place: int, width: int) -> _Line:
        space = " " * (width - cell_len(cell.text))
        gap = "" if place == 0 else " " * _GAP
        if self._columns[place].right:
            return [(gap + space, ""), (cell.text, cell.style)]
        at_end = place == len(self._widths) - 1
        return [(gap, ""), (cell.text, cell.style), ("" if at_end else space, "")]

    def _beneath(self, row: Sequence[Cell]) -> Iterator[_Line]:
        facts = []
        for column, cell in list(zip(self._columns, row, strict=True))[len(self._widths) :]:
            if cell.text and not cell.optional:
                facts.append(cell.text if column.fold else f"{column.name}: {cell.text}")
        indent = " " * _GAP
        for line in self._fold(", ".join(facts), self._width - _GAP) if facts else ():
            yield [(indent + line, "")]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _folded(console: Console, text: str, width: int) -> list[str]:
    """Fold a text between its words; a word that is too wide is cut into pieces."""
    if cell_len(text) <= width:
        return [text]
    if " " not in text:
        return chop_cells(text, max(width, 2))
    lines = Text(text).wrap(console, max(width, 2), overflow="fold")
    return [line.plain.rstrip() for line in lines]
