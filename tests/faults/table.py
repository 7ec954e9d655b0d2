"""How a kind of fault is written down: a function, registered under its name with a line that says what it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from smspartner_pipelines.sandbox.answers import LIST_KEY, PageDraft
from smspartner_pipelines.sandbox.fault_kinds import FAULT_KINDS
from smspartner_pipelines.sandbox.faults import Kind, Strike

KINDS: dict[str, Kind] = dict(FAULT_KINDS)
"""Every kind of the hostile server by its name: those of the product's sandbox, and all others."""

Register = Callable[[Callable[..., Any]], Callable[..., Any]]


def answer(kind: str, meaning: str) -> Register:
    """Register a function of an answer and a strike to the answer sent instead."""
    return _register(kind, lambda function: Kind(meaning, answer=function))


def wire(kind: str, meaning: str) -> Register:
    """Register a function of wire, answer and strike, which sends the answer or gives what is still to be sent."""
    return _register(kind, lambda function: Kind(meaning, wire=function))


def page(kind: str, meaning: str) -> Register:
    """Register a function of a page's draft and a strike, which changes the draft."""
    return _register(kind, lambda function: Kind(meaning, page=function))


def document(kind: str, meaning: str) -> Register:
    """Register a function of a page's JSON document and a strike to the document sent instead."""

    def edit(function: Callable[..., Any]) -> Kind:
        def change(draft: PageDraft, strike: Strike) -> None:
            draft.document = function(draft.document, strike)

        return Kind(meaning, page=change)

    return _register(kind, edit)


def rows(kind: str, meaning: str) -> Register:
    """Register a function of a page's rows and a strike to the rows sent instead."""

    def edit(function: Callable[..., Any]) -> Kind:
        def change(draft: PageDraft, strike: Strike) -> None:
            draft.document[LIST_KEY] = function(draft.document[LIST_KEY], strike)

        return Kind(meaning, page=change)

    return _register(kind, edit)


def _register(name: str, kind_of: Callable[[Callable[..., Any]], Kind]) -> Register:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if name in KINDS:
            raise ValueError(f"the fault {name} is registered twice")
        KINDS[name] = kind_of(function)
        return function

    return decorate
