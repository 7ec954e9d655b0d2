"""Which requests a fault strikes, and how one is written on the command line."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from smspartner_pipelines.sandbox.answers import Answer, PageDraft
    from smspartner_pipelines.sandbox.wire import Wire


@dataclass(frozen=True)
class Strike:
    """One fault striking one request: for the `nth` time, from 1; `target` is its path and query, as sent."""

    kind: str
    nth: int = 1
    seconds: float = 1.0
    target: str = ""


@dataclass(frozen=True)
class Kind:
    """What a kind of fault does, at exactly one stage of answering.

    Attributes:
        meaning: one line for people.
        page: changes a page of rows before it is written down; such a kind strikes no other answer.
        answer: gives another answer in the place of this one.
        wire: sends the answer in its own way, or gives the answer that is still to be sent.
    """

    meaning: str
    page: Callable[[PageDraft, Strike], None] | None = None
    answer: Callable[[Answer, Strike], Answer] | None = None
    wire: Callable[[Wire, Answer, Strike], Answer | None] | None = None


@dataclass(frozen=True)
class Fault:
    """A kind of fault, and the requests it strikes.

    Attributes:
        kind: the name of a kind that the sandbox knows.
        tag: strikes only requests for this tag; None strikes any, and `/v1/me` too.
        page: strikes only requests for this page (a request without `page` asks for page 1); None strikes any.
        times: strikes that many requests, then no more; None strikes always.
        after: lets that many matching requests pass first.
        seconds: how long a slow answer takes, and what `Retry-After` says.

    Raises:
        ValueError: a number is out of range.
    """

    kind: str
    tag: str | None = None
    page: int | None = None
    times: int | None = None
    after: int = 0
    seconds: float = 1.0

    def __post_init__(self) -> None:
        for name, value, least in (("page", self.page, 1), ("times", self.times, 1), ("after", self.after, 0)):
            if value is not None and value < least:
                raise ValueError(f"{name} of a fault must be {least} or more, not {value}")
        if not 0 <= self.seconds < math.inf:
            raise ValueError(f"seconds of a fault must be 0 or more, not {self.seconds}")


def parse_fault(text: str) -> Fault:
    """Read a fault as the command line takes it: `kind` or `kind:tag=promo-nov,page=2,times=1,after=1,seconds=5`.

    A comma or a percent sign in a tag is written `%2C`, `%25`.

    Raises:
        ValueError: it can't be read, with a sentence that says why.
    """
    kind, _, options = text.strip().partition(":")
    values: dict[str, Any] = {}
    for option in filter(None, options.split(",")):
        name, equals, value = option.partition("=")
        name = name.strip()
        if not equals or name not in _READ:
            raise ValueError(f"{option!r} in the fault {text!r} is none of {', '.join(f'{one}=' for one in _READ)}")
        if name in values:
            raise ValueError(f"{name} is given twice in the fault {text!r}")
        try:
            values[name] = _READ[name](value)
        except ValueError:
            kind_of = "number" if name == "seconds" else "whole number"
            raise ValueError(f"{name} of a fault must be a {kind_of}, not {value!r}") from None
    return Fault(kind.strip(), **values)


_READ: dict[str, Callable[[str], object]] = {"tag": unquote, "page": int, "times": int, "after": int, "seconds": float}


class FaultSchedule:
    """The faults of a running sandbox; threads may ask and change it side by side.

    Raises:
        ValueError: a fault is of a kind that is not among `known`.
    """

    def __init__(self, faults: Iterable[Fault], known: Collection[str]) -> None:
        self._lock = Lock()
        self._known = known
        self._matched: dict[int, tuple[Fault, int]] = {}
        self.add(*faults)

    def add(self, *faults: Fault) -> None:
        """Add faults; each counts the requests from now on."""
        for fault in faults:
            if fault.kind not in self._known:
                close = get_close_matches(fault.kind, self._known, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise ValueError(f"there is no fault {fault.kind!r}{hint}")
        with self._lock:
            for fault in faults:
                self._matched[max(self._matched, default=0) + 1] = (fault, 0)

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._matched = {}

    def strikes(self, tag: str | None, page: int | None, kinds: Collection[str], target: str) -> list[Strike]:
        """Count one request, and say which faults of these kinds strike it, in the order they were added."""
        found = []
        with self._lock:
            for place, (fault, matched) in self._matched.items():
                if fault.kind in kinds and fault.tag in (None, tag) and fault.page in (None, page):
                    self._matched[place] = (fault, matched + 1)
                    nth = matched + 1 - fault.after
                    if nth >= 1 and (fault.times is None or nth <= fault.times):
                        found.append(Strike(fault.kind, nth, fault.seconds, target))
        return found
