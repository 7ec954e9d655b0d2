"""What is said of a validation on the terminal: what fails, or that everything holds, and where the page is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from smspartner_pipelines.tables import Cell, Column, print_table

_COLUMNS = (
    *(Column("rule"), Column("rows", right=True), Column("tags", right=True)),
    Column("expected", fold=True),
)
_MOST_SAID = 300
"""Characters of an expectation; all of it is on the page."""


def print_validation(document: dict[str, Any], page: Path, console: Console) -> None:
    """Print what fails as a table, and the end of it all in a line or two."""
    rows = list(_failing(document))
    if rows:
        print_table(console, _COLUMNS, rows)
    for line in (closing_line(document), f"page: {page}"):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def closing_line(document: dict[str, Any]) -> str:
    """Say in one sentence how it ended."""
    of_what = f"{document['rows']:,} rows of {document['tags']:,} tags in {document['destination']}"
    if document["success"]:
        return f"{document['expectations_judged']} expectations hold for {of_what}"
    if document["exit_code"] == 1:
        return f"{document['expectations_not_evaluated']} expectations could not be evaluated for {of_what}"
    return f"{document['tags_failed']:,} tags and {document['rows_failed']:,} rows fail, of {of_what}"


def _failing(document: dict[str, Any]) -> Iterator[tuple[str | Cell, ...]]:
    for one in document["tag_rules"]:
        if not one["success"]:
            yield Cell(one["rule"], "bold red"), "", f"{one['tags_failed']:,}", one["meaning"]
    for one in document["expectations"]:
        if not one["evaluated"]:
            yield Cell(one["rule"], "bold yellow"), "", "", one["remark"][:_MOST_SAID]
        elif not one["success"]:
            rows = f"{one['rows_failed']:,}" if one["rows_failed"] else ""
            sentence = one["sentence"].replace("`", "")[:_MOST_SAID]
            yield Cell(one["rule"], "bold red"), rows, f"{one['tags_failed']:,}", sentence
