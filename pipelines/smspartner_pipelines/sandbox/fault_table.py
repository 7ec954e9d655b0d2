"""How a kind of fault is written down: a function, registered under its name with a one-line description."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Apply = TypeVar("Apply", bound=Callable[..., object])


@dataclass(frozen=True)
class Strike:
    """One fault striking one request: for the `nth` time, from 1; `target` is its path and query, as sent."""

    kind: str
    nth: int = 1
    seconds: float = 1.0
    target: str = ""


class FaultTable(Generic[Apply]):
    """The kinds of fault of one stage of answering; every function has that stage's signature."""

    def __init__(self) -> None:
        self.descriptions: dict[str, str] = {}
        self._functions: dict[str, Apply] = {}

    def add(self, kind: str, description: str, function: Apply) -> None:
        """Register one kind."""
        if kind in self._functions:
            raise ValueError(f"the fault {kind} is registered twice")
        self.descriptions[kind] = description
        self._functions[kind] = function

    def register(self, kind: str, description: str) -> Callable[[Apply], Apply]:
        """Register the decorated function as one kind."""

        def decorate(function: Apply) -> Apply:
            self.add(kind, description, function)
            return function

        return decorate

    def of(self, strikes: Iterable[Strike]) -> Iterator[tuple[Apply, Strike]]:
        """Give the functions of those strikes that are of this stage, in the strikes' order."""
        return ((self._functions[strike.kind], strike) for strike in strikes if strike.kind in self._functions)
