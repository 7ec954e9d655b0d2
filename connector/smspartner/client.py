"""One page request over `requests`: the only place that sees a URL, and where every failure becomes one of ours.

Every URL of this API holds the key, and so does the text of most exceptions of `requests` and `urllib3`. They are
therefore never passed on: the mapped error is raised after the `except` block, so that neither its cause nor its
context leads back to them.
"""

from __future__ import annotations

import importlib.metadata
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any, TypeVar
from urllib.parse import quote

import requests
import urllib3

from smspartner import vendor
from smspartner.body import ENCODINGS, read_body
from smspartner.connection import Connection
from smspartner.errors import RequestError
from smspartner.page import Page, read_envelope, read_page, read_value
from smspartner.redaction import Secret
from smspartner.transport import DeadlineAdapter, map_failure

Answer = TypeVar("Answer")
_Received = tuple[bytes, int, float | None]
"""Body, HTTP status, and the server's own wish for a pause in seconds."""

_LONGEST_CONNECT = 10.0
"""Seconds; within the timeout of the whole response."""


def user_agent() -> str:
    """Name product and version, as the API's operators may want to know who asks."""
    return f"smspartner-connector/{importlib.metadata.version('smspartner-connector')}"


class _Session(requests.Session):
    """A session that knows no redirects.

    Even where they are not to be followed, the base class prepares the next request of one, and reads its whole body
    for that, however large.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Find none."""


@dataclass(frozen=True)
class RawAnswer:
    """An answer as it came; headers and body may hold anything, also the key."""

    http_status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Client:
    """Sends single requests; used by many threads at once, each with a session and a connection of its own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._told_time = "", datetime.now(UTC)
        key = quote(connection.api_key.reveal(), safe="")
        # Secrets, since debuggers and error trackers print the attributes that a line of a traceback names.
        self._by_tag = Secret(f"{connection.base_url}/{vendor.STATUS_BY_TAG}?apiKey={key}&tag=")
        self._account = Secret(f"{connection.base_url}/{vendor.ACCOUNT}?apiKey={key}")
        prepared = requests.Request("GET", connection.base_url, headers=_headers()).prepare()
        self._template = prepared
        with (
            requests.Session() as environment
        ):  # proxies and certificates as the environment names them, looked up once
            self._settings = environment.merge_environment_settings(connection.base_url, {}, True, True, None)

    def fetch_page(self, tag: str, number: int) -> Page:
        """Ask for one page of a tag; the first exactly as documented, further ones with `page=N`.

        Raises:
            RequestError: see `smspartner.errors`; never with the key, a URL or a chained exception.
        """
        page = f"&page={number}" if number > 1 else ""
        return _answered(self._get(f"{self._by_tag.reveal()}{quote(tag, safe='')}{page}", read_page))

    def fetch_raw(self, tag: str, number: int | None) -> RawAnswer:
        """Ask for one page, None exactly as documented, and give the answer unread: to find out how the API answers.

        Raises:
            RequestError: there is no whole answer.
        """
        page = "" if number is None else f"&page={number}"

        def unread(body: bytes, http_status: int, _retry_after: float | None) -> RawAnswer:
            return RawAnswer(http_status, self._local.headers, body)

        return _answered(self._get(f"{self._by_tag.reveal()}{quote(tag, safe='')}{page}", unread))

    def fetch_account(self) -> dict[str, Any]:
        """Ask for the account of the key, which changes nothing.

        Raises:
            RequestError: as `fetch_page`; AccessRefused where the key is refused.
        """
        return _answered(self._get(self._account.reveal(), _read_account))

    @property
    def seconds_ahead(self) -> float | None:
        """How far this machine's clock was ahead of the server's at the last answer; None where that tells no time."""
        told, now = self._told_time
        try:
            return (now - parsedate_to_datetime(told)).total_seconds()
        except (ValueError, OverflowError, TypeError):  # no date, or one that names no time zone
            return None

    @property
    def proxy(self) -> str | None:
        """The proxy that requests go through, as the environment names it; it may hold a password."""
        proxies = self._settings["proxies"]
        return requests.utils.select_proxy(self._connection.base_url, proxies)

    def close(self) -> None:
        """Close the connections of all threads."""
        while self._sessions:
            self._sessions.pop().close()

    def _get(self, url: str, read: Callable[[bytes, int, float | None], Answer]) -> Answer | RequestError:
        """Send one request and read its answer.

        A failure is returned, not raised: the frames of its traceback hold the URL, or the body with phone numbers.
        """
        try:
            return read(*self._send(url))
        except RequestError as exc:
            return exc.with_traceback(None)
        except (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as exc:
            return map_failure(exc, self._connection.timeout)
        except Exception as exc:  # noqa: BLE001  # a bug, told by its class: its text and frames hold the URL
            return RequestError(f"the request failed in a way nobody foresaw ({type(exc).__name__}); report this bug")

    def _send(self, url: str) -> _Received:
        request = self._template.copy()
        request.url = url
        timeout = (min(_LONGEST_CONNECT, self._connection.timeout), self._connection.timeout)
        with self._session().send(request, timeout=timeout, allow_redirects=False, **self._settings) as response:
            self._local.headers = dict(response.headers)
            self._told_time = response.headers.get("Date", ""), datetime.now(UTC)
            body = read_body(response, self._connection.max_body_bytes)
            return body, response.status_code, _retry_after(response.headers)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = _Session()
            session.trust_env = False
            for scheme in ("https://", "http://"):
                session.mount(scheme, DeadlineAdapter(pool_connections=1, pool_maxsize=1, max_retries=0))
            self._local.session = session
            self._sessions.append(session)
        return session


def _answered(answer: Answer | RequestError) -> Answer:
    if isinstance(answer, RequestError):
        raise answer
    return answer


def _headers() -> dict[str, str]:
    return {"User-Agent": user_agent(), "Accept": "application/json", "Accept-Encoding": ENCODINGS}


def _read_account(body: bytes, http_status: int, retry_after: float | None) -> dict[str, Any]:
    envelope = read_envelope(body, http_status, retry_after)
    return {name: read_value(value) for name, value in envelope.items()}


def _retry_after(headers: Any) -> float | None:
    """Read `Retry-After` in both forms, as seconds; a date is taken relative to the server's own clock."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    try:
        now = parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, OverflowError):
        now = datetime.now(UTC)
    if until.tzinfo is None or now.tzinfo is None:
        return None
    return max(0.0, (until - now).total_seconds())
