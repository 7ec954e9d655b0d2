"""How a kind of fault is written down: a line that says what it does, and a function of what it changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from smspartner_pipelines.sandbox.answers import LIST_KEY, Answer, Page
from smspartner_pipelines.sandbox.faults import Kind, Strike, always

Document = dict[str, Any]
Row = dict[str, Any]
Rows = list[Any]


def instead(meaning: str, answer: Answer) -> Kind:
    """Give this answer, whatever was asked for."""
    return Kind(meaning, answer=always(answer))


def body(meaning: str, change: Callable[[bytes], bytes], *headers: tuple[str, str]) -> Kind:
    """Change the body, and send these headers, too."""
    return Kind(
        meaning, answer=lambda answer, _: replace(answer, body=change(answer.body), headers=(*answer.headers, *headers))
    )


def document(meaning: str, change: Callable[[Document, Strike], Document]) -> Kind:
    """Change a page's JSON document."""

    def edit(page: Page, strike: Strike) -> None:
        page.document = change(page.document, strike)

    return Kind(meaning, page=edit)


def rows(meaning: str, change: Callable[[Rows, Strike], Rows]) -> Kind:
    """Change a page's rows; one that is a `str` is raw JSON text."""
    return document(meaning, lambda page, strike: page | {LIST_KEY: change(page[LIST_KEY], strike)})


def every_row(meaning: str, change: Callable[[Row], object]) -> Kind:
    """Change each row; rows that are no objects stay."""
    return rows(meaning, lambda found, _: [change(row) if isinstance(row, dict) else row for row in found])


def first_row(meaning: str, change: Callable[[Row, Strike], object]) -> Kind:
    """Change the first row of a page."""

    def edit(found: Rows, strike: Strike) -> Rows:
        first = found[0] if found and isinstance(found[0], dict) else {}
        return [change(first, strike), *found[1:]] if found else found

    return rows(meaning, edit)
