"""From a request's URL to its answer; knows nothing of sockets.

What the documentation leaves open is decided here: a missing page, or one that is no positive whole number, is page 1;
a page beyond the end is an empty list with the right total; of a parameter given twice the last counts, as in PHP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from smspartner_pipelines.sandbox.answer_faults import ANSWER_FAULTS
from smspartner_pipelines.sandbox.answers import (
    Answer,
    account,
    envelope,
    html_answer,
    render_page,
    vendor_error,
)
from smspartner_pipelines.sandbox.envelope_faults import ENVELOPE_FAULTS
from smspartner_pipelines.sandbox.faults import PAGE_KINDS, FaultSchedule
from smspartner_pipelines.sandbox.population_faults import POPULATION_FAULTS, Reading
from smspartner_pipelines.sandbox.row_faults import ROW_FAULTS
from smspartner_pipelines.sandbox.transport_faults import SILENT

if TYPE_CHECKING:
    from smspartner_pipelines.sandbox.campaigns import Campaign
    from smspartner_pipelines.sandbox.fault_table import Strike

STATUS_PATH = "/v1/bulk-status-by-tag"
ACCOUNT_PATH = "/v1/me"
_LOGGED_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Connection")
_MOST_CACHED_PAGES = 2000
_LONGEST_NUMBER = 18


@dataclass(frozen=True)
class RequestRecord:
    """What the log keeps of one request; never the key.

    Attributes:
        path: the path of the URL, without its query.
        tag: the tag as sent, None without one.
        page: the page as sent, None without one.
        parameters: the names of all query parameters, in the order sent.
        key_ok: whether the key was the right one.
        headers: the headers of interest that were sent.
        time: when the request arrived, on the monotonic clock: for differences.
        status: the HTTP status it was answered with, None if the connection ended before.
        faults: the kinds of fault that struck it.
    """

    path: str
    tag: str | None
    page: str | None
    parameters: tuple[str, ...]
    key_ok: bool
    headers: Mapping[str, str]
    time: float
    status: int | None
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Response:
    """An answer, the strikes the wire still has to deal with, and the log's record."""

    answer: Answer
    strikes: tuple[Strike, ...]
    record: RequestRecord


class _Served:
    """A campaign and its rendered pages, once they are final; replaced as a whole, so nothing stale is cached."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self.pages: dict[int, bytes] = {}


class Responder:
    """Answers requests from the campaigns, through the faults."""

    def __init__(
        self, faults: FaultSchedule, *, page_size: int, api_key: str | None, clock: Callable[[], float]
    ) -> None:
        if page_size < 1:
            raise ValueError(f"page_size must be 1 or more, not {page_size}")
        self._faults = faults
        self._page_size = page_size
        self._api_key = api_key
        self._clock = clock
        self._served: dict[str, _Served] = {}

    def set_campaign(self, campaign: Campaign) -> None:
        """Serve this population under its tag from now on."""
        self._served[campaign.tag] = _Served(campaign)

    def remove_campaign(self, tag: str) -> None:
        """Know nothing under this tag from now on."""
        self._served.pop(tag, None)

    def respond(self, target: str, headers: Mapping[str, str], arrived: float) -> Response:
        """Answer one GET request for this target (path and query)."""
        url = urlsplit(target)
        pairs = parse_qsl(url.query, keep_blank_values=True)
        query = dict(pairs)
        key_ok = "apiKey" in query and self._api_key in (None, query["apiKey"])
        served = self._served.get(query.get("tag", ""))
        refusal = self._refusal(url.path, query, served, key_ok=key_ok)
        tag, page = query.get("tag"), _page_number(query.get("page"))
        strikes = self._strikes(target, url.path, tag, page, holds_rows=refusal is None)
        answer = refusal or Answer(self._page(served, page, strikes) if served else b"")
        for apply, strike in ANSWER_FAULTS.of(strikes):
            answer = apply(answer, strike)
        kinds = tuple(strike.kind for strike in strikes)
        record = RequestRecord(
            path=url.path,
            tag=tag,
            page=query.get("page"),
            parameters=tuple(name for name, _ in pairs),
            key_ok=key_ok,
            headers={name: headers[name] for name in _LOGGED_HEADERS if name in headers},
            time=arrived,
            status=None if SILENT.intersection(kinds) else answer.status,
            faults=kinds,
        )
        return Response(answer, strikes, record)

    def _refusal(self, path: str, query: Mapping[str, str], served: _Served | None, *, key_ok: bool) -> Answer | None:
        """Answer a request that gets no page of rows; None if it gets one."""
        if path not in (STATUS_PATH, ACCOUNT_PATH):
            return html_answer(404, "Not Found")
        if not query.get("apiKey"):
            return vendor_error(1)
        if not key_ok:
            return vendor_error(10)
        if path == ACCOUNT_PATH:
            return account()
        if not query.get("tag"):
            return vendor_error(3, "Tag requis")
        return None if served else vendor_error(4)

    def _strikes(self, target: str, path: str, tag: str | None, page: int, *, holds_rows: bool) -> tuple[Strike, ...]:
        if path == STATUS_PATH:
            return self._faults.strikes(tag, page, holds_rows=holds_rows, target=target)
        # Paths the API does not have are spared, so that a client that follows `redirect` is seen to arrive.
        strikes_it = path == ACCOUNT_PATH
        return self._faults.strikes(None, None, holds_rows=False, target=target) if strikes_it else ()

    def _page(self, served: _Served, page: int, strikes: tuple[Strike, ...]) -> bytes:
        now = self._clock()
        if not PAGE_KINDS.isdisjoint(strike.kind for strike in strikes) or not served.campaign.is_final(now):
            return self._render(served.campaign, page, strikes, now)
        body = served.pages.get(page)
        if body is None:
            body = self._render(served.campaign, page, (), now)
            if len(served.pages) < _MOST_CACHED_PAGES:
                served.pages[page] = body
        return body

    def _render(self, campaign: Campaign, page: int, strikes: tuple[Strike, ...], now: float) -> bytes:
        reading = Reading(
            fetch=lambda start, stop: campaign.rows_between(start, stop, now),
            rows=campaign.rows,
            page=page,
            declared_page=page,
            declared_total=campaign.rows,
        )
        for apply_to_reading, strike in POPULATION_FAULTS.of(strikes):
            reading = apply_to_reading(reading, strike)
        rows = reading.rows_of_page(self._page_size)
        for apply_to_rows, strike in ROW_FAULTS.of(strikes):
            rows = apply_to_rows(rows, strike)
        document = envelope(reading.declared_page, reading.declared_total, rows)
        for apply_to_document, strike in ENVELOPE_FAULTS.of(strikes):
            document = apply_to_document(document, strike)
        return render_page(document)


def _page_number(text: str | None) -> int:
    digits = text if text and text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER else "1"
    return int(digits) or 1
