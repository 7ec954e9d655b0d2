"""The faults the sandbox can inject, and where they strike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from threading import Lock
from urllib.parse import unquote

import smspartner_pipelines.sandbox.echo_faults  # noqa: F401  # registers its kinds in the tables of the others
from smspartner_pipelines.sandbox.answer_faults import ANSWER_FAULTS
from smspartner_pipelines.sandbox.envelope_faults import ENVELOPE_FAULTS
from smspartner_pipelines.sandbox.fault_table import Strike
from smspartner_pipelines.sandbox.population_faults import POPULATION_FAULTS
from smspartner_pipelines.sandbox.row_faults import ROW_FAULTS
from smspartner_pipelines.sandbox.transport_faults import TRANSPORT_FAULTS

PAGE_KINDS = frozenset(POPULATION_FAULTS.descriptions | ROW_FAULTS.descriptions | ENVELOPE_FAULTS.descriptions)
"""The kinds that edit a page of statuses; they strike no other answer."""

FAULT_KINDS: dict[str, str] = (
    TRANSPORT_FAULTS.descriptions
    | ANSWER_FAULTS.descriptions
    | POPULATION_FAULTS.descriptions
    | ENVELOPE_FAULTS.descriptions
    | ROW_FAULTS.descriptions
)
"""Every kind with a one-line description."""


@dataclass(frozen=True)
class Fault:
    """A kind of fault, and the requests it strikes.

    Attributes:
        kind: one of `FAULT_KINDS`.
        tag: strikes only requests for this tag; None strikes any, and `/v1/me` too.
        page: strikes only requests for this page (a request without `page` asks for page 1); None strikes any.
        times: strikes that many requests, then no more; None strikes always.
        after: lets that many matching requests pass first.
        seconds: how long `slow` waits and `drip` pauses, and what `Retry-After` says.

    Raises:
        ValueError: there is no such kind, or a number is out of range.
    """

    kind: str
    tag: str | None = None
    page: int | None = None
    times: int | None = None
    after: int = 0
    seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in FAULT_KINDS:
            close = get_close_matches(self.kind, FAULT_KINDS, n=1)
            raise ValueError(f"there is no fault {self.kind!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
        for name, value, least in (("page", self.page, 1), ("times", self.times, 1), ("after", self.after, 0)):
            if value is not None and value < least:
                raise ValueError(f"{name} of a fault must be {least} or more, not {value}")
        if not 0 <= self.seconds < float("inf"):
            raise ValueError(f"seconds of a fault must be 0 or more, not {self.seconds}")

    def matches(self, tag: str | None, page: int | None, *, holds_rows: bool) -> bool:
        """Tell whether a request for this tag and page, whose answer is a page of rows or not, can be struck."""
        return self.tag in (None, tag) and self.page in (None, page) and (holds_rows or self.kind not in PAGE_KINDS)


def parse_fault(text: str) -> Fault:
    """Read a fault as the command line takes it: `kind` or `kind:tag=promo-nov,page=2,times=1,after=1,seconds=5`.

    A comma or a percent sign in a tag is written `%2C`, `%25`.

    Raises:
        ValueError: it can't be read, with a sentence that says why.
    """
    kind, _, options = text.strip().partition(":")
    values: dict[str, str] = {}
    for option in filter(None, options.split(",")):
        name, equals, value = option.partition("=")
        name = name.strip()
        if not equals or name not in ("tag", "page", "times", "after", "seconds"):
            raise ValueError(f"{option!r} in the fault {text!r} is none of tag=, page=, times=, after=, seconds=")
        if name in values:
            raise ValueError(f"{name} is given twice in the fault {text!r}")
        values[name] = value
    return Fault(
        kind.strip(),
        tag=unquote(values["tag"]) if "tag" in values else None,
        page=_whole_number("page", values.get("page")),
        times=_whole_number("times", values.get("times")),
        after=_whole_number("after", values.get("after")) or 0,
        seconds=_seconds(values.get("seconds", "1")),
    )


class FaultSchedule:
    """The faults of a running sandbox; threads may ask and change it side by side."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = Lock()
        self._scheduled = [_Scheduled(fault) for fault in faults]

    def add(self, *faults: Fault) -> None:
        """Add faults; each counts the requests from now on."""
        with self._lock:
            self._scheduled = [*self._scheduled, *map(_Scheduled, faults)]

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._scheduled = []

    def strikes(self, tag: str | None, page: int | None, *, holds_rows: bool, target: str = "") -> tuple[Strike, ...]:
        """Count one request for this target, and say which faults strike it, in the order they were added."""
        with self._lock:
            matching = [one for one in self._scheduled if one.fault.matches(tag, page, holds_rows=holds_rows)]
            return tuple(strike for strike in (one.count(target) for one in matching) if strike is not None)


class _Scheduled:
    """A fault and how many requests matched it so far."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.matched = 0

    def count(self, target: str) -> Strike | None:
        self.matched += 1
        nth = self.matched - self.fault.after
        if nth < 1 or (self.fault.times is not None and nth > self.fault.times):
            return None
        return Strike(self.fault.kind, nth, self.fault.seconds, target)


def _whole_number(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name} of a fault must be a whole number, not {text!r}") from None


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"seconds of a fault must be a number, not {text!r}") from None
