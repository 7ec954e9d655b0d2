"""One request over `requests`: the only place that sees a URL, and where every failure becomes one of ours.

Every URL of this API holds the key, and so does the text of most exceptions of `requests` and `urllib3`. They are
therefore never passed on: a failure is mapped by its classes, and raised where neither cause, context nor frames lead
back to them.
"""

from __future__ import annotations

import importlib.metadata
import re
import threading
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import requests

from smspartner import vendor
from smspartner.connection import Connection
from smspartner.errors import BodyTooLarge, RequestError, ResponseTimeout, SettingsError, UnreadableBody
from smspartner.page import Page, read_envelope, read_page
from smspartner.raw_json import read_value
from smspartner.redaction import Secret
from smspartner.transport import DeadlineAdapter, Watchdog, map_failure

Answer = TypeVar("Answer")

_LONGEST_CONNECT = 10.0
"""Seconds; within the timeout of the whole response."""

_CHUNK = 1 << 17


@dataclass(frozen=True)
class RawAnswer:
    """One answer as it came; its headers and body may repeat the key and hold phone numbers."""

    http_status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def retry_after(self) -> float | None:
        """What `Retry-After` asks for, in seconds; a date is taken relative to the server's own clock."""
        value = self.headers.get("Retry-After", "").strip()
        if re.fullmatch(r"[0-9]+(\.[0-9]*)?", value, re.ASCII):
            return float(value)
        until = _http_date(value) if value else None
        if until is None:
            return None
        now = _http_date(self.headers.get("Date", "")) or datetime.now(UTC)
        return max(0.0, (until - now).total_seconds())

    @property
    def charset(self) -> str | None:
        """What the head declares."""
        declared = re.search(r"charset=[\"']?([\w.:-]+)", self.headers.get("Content-Type", ""), re.IGNORECASE)
        return declared[1] if declared else None


class Client:
    """Sends single requests; used by many threads at once, each with a connection of its own.

    They go through an adapter of `requests` without its session, which would follow redirects and keep cookies.

    Raises:
        SettingsError: the environment names a file of certificates that does not exist.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._local = threading.local()
        self._adapters: list[DeadlineAdapter] = []
        self._watchdog = Watchdog(connection.timeout)
        key = quote(connection.api_key.reveal(), safe="")
        # Secrets, since debuggers and error trackers print the attributes that a line of a traceback names.
        self._by_tag = Secret(f"{connection.base_url}/{vendor.STATUS_BY_TAG}?apiKey={key}&tag=")
        self._account = Secret(f"{connection.base_url}/{vendor.ACCOUNT}?apiKey={key}")
        self._template = requests.Request("GET", connection.base_url, headers=_headers()).prepare()
        self._settings = _settings_of_environment(connection)

    def fetch_page(self, tag: str, number: int) -> Page:
        """Ask for one page of a tag; the first exactly as documented, further ones with `page=N`.

        Raises:
            RequestError: see `smspartner.errors`; never with the key, a URL or a chained exception.
        """
        return _answered(self._get(self._page_url(tag, number if number > 1 else None), _read_page))

    def fetch_raw(self, tag: str, number: int | None) -> RawAnswer:
        """Ask for one page, None exactly as documented, and give the answer unread: to find out how the API answers.

        Raises:
            RequestError: there is no whole answer.
        """
        return _answered(self._get(self._page_url(tag, number), lambda answer: answer))

    def fetch_account(self) -> dict[str, Any]:
        """Ask for the account of the key, which changes nothing.

        Raises:
            RequestError: as `fetch_page`; AccessRefused where the key is refused.
        """
        return _answered(self._get(self._account.reveal(), _read_account))

    def close(self) -> None:
        """Close the connections of all threads."""
        self._watchdog.close()
        while self._adapters:
            self._adapters.pop().close()

    def _page_url(self, tag: str, number: int | None) -> str:
        page = "" if number is None else f"&page={number}"
        return f"{self._by_tag.reveal()}{quote(tag, safe='')}{page}"

    def _get(self, url: str, read: Callable[[RawAnswer], Answer]) -> Answer | RequestError:
        """Send one request and read its answer.

        A failure is returned, not raised: the frames of its traceback hold the URL, or the body with phone numbers.
        """
        deadline = self._watchdog.start()
        answer: RawAnswer | RequestError
        try:
            answer = self._send(url)
        except RequestError as exc:
            answer = exc
        except Exception as exc:  # noqa: BLE001  # of any kind, its text and frames hold the URL
            answer = map_failure(exc, self._connection.timeout)
        finally:
            self._watchdog.stop(deadline)
        if deadline.cut:  # a head that was cut looks like a whole answer without a body
            return ResponseTimeout(f"no whole answer within {self._connection.timeout:g} s")
        if isinstance(answer, RequestError):
            return answer.with_traceback(None)
        try:
            return read(answer)
        except RequestError as exc:
            exc.http_status, exc.retry_after = answer.http_status, answer.retry_after
            return exc.with_traceback(None)

    def _send(self, url: str) -> RawAnswer:
        request = copy(self._template)  # which has the same headers
        request.url = url
        timeout = (min(_LONGEST_CONNECT, self._connection.timeout), self._connection.timeout)
        with self._adapter().send(request, timeout=timeout, **self._settings) as response:
            headers = response.headers
            if "Transfer-Encoding" in headers and "Content-Length" in headers:
                raise UnreadableBody("the answer says in two ways where it ends, which no valid one does")
            return RawAnswer(response.status_code, headers, self._read_body(response))

    def _read_body(self, response: requests.Response) -> bytes:
        """Read and unpack the body, and never hold more of it than a page can have."""
        most, size = self._connection.max_body_bytes, 0
        pieces: list[bytes] = []
        while piece := response.raw.read(_CHUNK, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if size > most:
                raise BodyTooLarge(f"the body is larger than {most:,} bytes, which no page is")
        return b"".join(pieces)

    def _adapter(self) -> DeadlineAdapter:
        adapter: DeadlineAdapter | None = getattr(self._local, "adapter", None)
        if adapter is None:
            adapter = self._local.adapter = DeadlineAdapter(pool_connections=1, pool_maxsize=1, max_retries=0)
            self._adapters.append(adapter)
        return adapter


def _answered(answer: Answer | RequestError) -> Answer:
    if isinstance(answer, RequestError):
        raise answer
    return answer


def _read_page(answer: RawAnswer) -> Page:
    return read_page(answer.body, answer.http_status, answer.charset)


def _read_account(answer: RawAnswer) -> dict[str, Any]:
    envelope = read_envelope(answer.body, answer.http_status, answer.charset)
    return {name: read_value(value) for name, value in envelope.items()}


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError, TypeError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _headers() -> dict[str, str]:
    version = importlib.metadata.version("smspartner-connector")
    return {
        "User-Agent": f"smspartner-connector/{version}",
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
    }


def _settings_of_environment(connection: Connection) -> Any:
    """Give the proxies and certificates that the environment names; on loopback, never a proxy."""
    with requests.Session() as session:
        settings: Any = session.merge_environment_settings(connection.base_url, {}, True, True, None)
    if connection.on_loopback:
        settings["proxies"] = {}
    if isinstance(settings["verify"], str) and not Path(settings["verify"]).exists():
        raise SettingsError(
            "the file of certificates that REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names does not exist",
            remedy="correct that variable, or remove it",
        )
    return settings
