"""Faults to rehearse a job on: what any HTTP API does on a bad day, and what would cost rows unseen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from smspartner_pipelines.sandbox.answers import LIST_KEY, Answer, Page, html_answer, vendor_error

if TYPE_CHECKING:
    from smspartner_pipelines.sandbox.http_server import Wire


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
    page: Callable[[Page, Strike], None] | None = None
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


_READ: dict[str, Callable[[str], object]] = {"tag": unquote, "page": int, "times": int, "after": int, "seconds": float}


def parse_fault(text: str) -> Fault:
    """Read a fault as the command line takes it: `kind` or `kind:tag=promo-nov,page=2,times=1,after=1,seconds=5`.

    A comma or a percent sign in a tag is written `%2C`, `%25`.

    Raises:
        ValueError: it can't be read, with a sentence that says why.
    """
    kind, _, options = text.strip().partition(":")
    values: dict[str, Any] = {}
    for option in filter(None, options.split(",")):
        name, _, value = option.partition("=")
        try:
            values[name.strip()] = _READ[name.strip()](value)
        except (KeyError, ValueError):
            known = "tag=TAG, page=N, times=N, after=N, seconds=SECONDS"
            raise ValueError(f"{option!r} in the fault {text!r} is none of {known}") from None
    return Fault(kind.strip(), **values)


class FaultSchedule:
    """The faults of a running sandbox; threads may ask and change it side by side.

    Raises:
        ValueError: a fault is of a kind that is not among `kinds`.
    """

    def __init__(self, faults: Iterable[Fault], kinds: Mapping[str, Kind]) -> None:
        self._lock = Lock()
        self._kinds = kinds
        self._matched: list[tuple[Fault, int]] = []
        self.add(*faults)

    def add(self, *faults: Fault) -> None:
        """Add faults; each counts the requests from now on."""
        for fault in faults:
            if fault.kind not in self._kinds:
                raise ValueError(f"there is no fault {fault.kind!r}")
        with self._lock:
            self._matched += [(fault, 0) for fault in faults]

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._matched = []

    def strikes(self, tag: str | None, page: int, target: str, *, with_rows: bool) -> list[Strike]:
        """Count one request, and say which faults strike it, in the order they were added.

        Without rows, kinds that change a page strike nothing, and are not counted.
        """
        found = []
        with self._lock:
            for place, (fault, matched) in enumerate(self._matched):
                fits = with_rows or not self._kinds[fault.kind].page
                if fits and fault.tag in (None, tag) and fault.page in (None, page):
                    self._matched[place] = (fault, matched + 1)
                    nth = matched + 1 - fault.after
                    if nth >= 1 and (fault.times is None or nth <= fault.times):
                        found.append(Strike(fault.kind, nth, fault.seconds, target))
        return found


def _slow(wire: Wire, answer: Answer, strike: Strike) -> Answer:
    wire.pause(strike.seconds)
    return answer


def _rate_limit(_answer: Answer, strike: Strike) -> Answer:
    return html_answer(429, "Too Many Requests", ("Retry-After", str(math.ceil(strike.seconds))))


def _short_page(page: Page, _strike: Strike) -> None:
    del page.document[LIST_KEY][-1:]


def _total_grows(page: Page, strike: Strike) -> None:
    page.document["total"] += strike.nth


def always(answer: Answer) -> Callable[[Answer, Strike], Answer]:
    """Make the function of a kind that gives this answer in the place of any."""
    return lambda _answer, _strike: answer


def _first_row(**changes: object) -> Callable[[Page, Strike], None]:
    def change(page: Page, _strike: Strike) -> None:
        rows = page.document[LIST_KEY]
        if rows and isinstance(rows[0], dict):
            rows[0] = rows[0] | changes

    return change


FAULT_KINDS = {
    "slow": Kind("waits `seconds` (default 1) before it answers", wire=_slow),
    "reset": Kind("the connection is reset before the first byte", wire=lambda wire, _answer, _strike: wire.reset()),
    "rate_limit_seconds": Kind("HTTP 429 with Retry-After in seconds (`seconds`, default 1)", answer=_rate_limit),
    "server_error": Kind("HTTP 500 with HTML", answer=always(html_answer(500, "Internal Server Error"))),
    "html": Kind("HTML with HTTP 200", answer=always(html_answer(200, "Maintenance en cours"))),
    "cut_json": Kind(
        "JSON cut in the middle, with the Content-Length of what is sent",
        answer=lambda answer, _strike: replace(answer, body=answer.body[: len(answer.body) // 2]),
    ),
    "vendor_error_4": Kind("the vendor's error 4: nothing is known under the tag", answer=always(vendor_error(4))),
    "vendor_error_10": Kind("the vendor's error 10: the key is wrong", answer=always(vendor_error(10))),
    "short_page": Kind("the last row of the page is missing", page=_short_page),
    "repeated_page": Kind(
        "the rows of page 1 under the number of the page asked for", page=lambda page, _strike: page.show(1)
    ),
    "total_grows": Kind("the total is one row higher at every request that is struck", page=_total_grows),
    "bad_status": Kind("the first row has an unknown status word", page=_first_row(status="Teleported")),
    "bad_number": Kind("the first row's number is `n/a`", page=_first_row(phoneNumber="n/a")),
}
"""Every kind of fault of the sandbox by its name."""
