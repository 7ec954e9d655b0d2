"""The sandbox: campaigns and faults behind an HTTP server that runs for as long as it is asked to.

What the documentation leaves open is decided here: a missing page, or one that is no positive whole number, is page 1;
a page beyond the end is an empty list with the right total; of a parameter given twice the last counts, as in PHP.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit

from smspartner_pipelines.sandbox.answers import Answer, Page, account, html_answer, vendor_error
from smspartner_pipelines.sandbox.campaigns import Campaign, demo_campaigns
from smspartner_pipelines.sandbox.faults import FAULT_KINDS, Fault, FaultSchedule, Kind, Strike
from smspartner_pipelines.sandbox.http_server import HttpServer, Wire

STATUS_PATH = "/v1/bulk-status-by-tag"
ACCOUNT_PATH = "/v1/me"
_MOST_CACHED_PAGES = 10_000
_LONGEST_NUMBER = 18


class Sandbox:
    """A stand-in of the API on loopback; a context manager that serves while it is entered.

    Args:
        campaigns: the populations to serve; None serves `demo_campaigns`, sent relative to now.
        faults: what goes wrong, from the first request on; see also the attribute `faults`.
        page_size: rows on a page.
        latency: seconds every answer waits.
        api_key: the key that is accepted; None accepts any.
        clock: gives the time in epoch seconds, which decides what is still waiting.
        port: 0 takes a free one.

    Attributes:
        campaigns: what is served, by tag; may be changed while the sandbox runs.
        faults: the schedule; faults can be added and cleared while the sandbox runs.

    Raises:
        ValueError: a fault is of no kind that the sandbox knows, or `page_size` is below 1.
    """

    kinds: ClassVar[Mapping[str, Kind]] = FAULT_KINDS

    def __init__(
        self,
        campaigns: Iterable[Campaign] | None = None,
        *,
        faults: Iterable[Fault] = (),
        page_size: int = 1000,
        latency: float = 0.0,
        api_key: str | None = "sandbox-key",
        clock: Callable[[], float] = time.time,
        port: int = 0,
    ) -> None:
        if page_size < 1:
            raise ValueError(f"page_size must be 1 or more, not {page_size}")
        self.faults = FaultSchedule(faults, self.kinds)
        self.campaigns = {one.tag: one for one in (demo_campaigns(int(clock())) if campaigns is None else campaigns)}
        self._page_size, self._latency, self._api_key, self._clock = page_size, latency, api_key, clock
        self._port = port
        self._final_page = lru_cache(_MOST_CACHED_PAGES)(self._write)
        self._server: HttpServer | None = None

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen and serve, in threads of its own.

        Raises:
            OSError: the port is taken.
        """
        self._server = self.listen()

    def listen(self) -> HttpServer:
        """Open the port."""
        return HttpServer(("127.0.0.1", self._port), Wire, self.exchange)

    def stop(self) -> None:
        """End all connections, also those that a fault holds, and stop; harmless when it does not run."""
        server, self._server = self._server, None
        if server:
            server.stop()

    @property
    def url(self) -> str:
        """The base URL, such as `http://127.0.0.1:8025/v1`."""
        if self._server is None:
            raise RuntimeError("the sandbox does not run, so it has no URL")
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def exchange(self, wire: Wire) -> None:
        """Answer one GET request."""
        self.deliver(*self.respond(wire.path), wire)

    def deliver(self, answer: Answer, strikes: Sequence[Strike], wire: Wire) -> None:
        """Send an answer, through the faults of the wire."""
        wire.pause(self._latency)
        for strike in strikes:
            if send := self.kinds[strike.kind].wire:
                remaining = send(wire, answer, strike)
                if remaining is None:
                    return
                answer = remaining
        wire.answer(answer)

    def respond(self, target: str) -> tuple[Answer, list[Strike]]:
        """Give the answer to a path and query, and the faults that strike it, of which the wire's are still to come."""
        url = urlsplit(target)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        if url.path not in (STATUS_PATH, ACCOUNT_PATH):
            return html_answer(404, "Not Found"), []  # no fault, so that a client that follows a redirect is seen
        tag, page = (None, 0) if url.path == ACCOUNT_PATH else (query.get("tag"), _page_number(query.get("page")))
        answer = self._without_rows(url.path, query)
        strikes = self.faults.strikes(tag, page, target, with_rows=answer is None)
        if answer is None:
            answer = Answer(self._page(self.campaigns[query["tag"]], page, strikes))
        for strike in strikes:
            if instead := self.kinds[strike.kind].answer:
                answer = instead(answer, strike)
        return answer, strikes

    def _without_rows(self, path: str, query: Mapping[str, str]) -> Answer | None:
        """Answer a request that gets no page of rows; None if it gets one."""
        if not query.get("apiKey"):
            return vendor_error(1)
        if self._api_key not in (None, query["apiKey"]):
            return vendor_error(10)
        if path == ACCOUNT_PATH:
            return account()
        if not query.get("tag"):
            return vendor_error(3)
        return None if query["tag"] in self.campaigns else vendor_error(4)

    def _page(self, campaign: Campaign, number: int, strikes: Sequence[Strike]) -> bytes:
        """Write a page down; those of a campaign that is final are kept."""
        now = self._clock()
        edits = tuple(strike for strike in strikes if self.kinds[strike.kind].page)
        if not edits and campaign.is_final(now):
            return self._final_page(campaign, number)
        return self._write(campaign, number, now, edits)

    def _write(self, campaign: Campaign, number: int, now: float = float("inf"), edits: Sequence[Strike] = ()) -> bytes:
        page = Page(number, self._page_size, campaign.rows, lambda start, stop: campaign.rows_between(start, stop, now))
        for strike in edits:
            if edit := self.kinds[strike.kind].page:
                edit(page, strike)
        return page.body()


def _page_number(text: str | None) -> int:
    digits = text if text and text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER else "1"
    return int(digits) or 1
