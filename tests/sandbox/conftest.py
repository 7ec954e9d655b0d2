"""A plain HTTP client for the sandbox's own tests."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from smspartner_pipelines.sandbox import Campaign, Sandbox


@dataclass(frozen=True)
class Reply:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


Ask = Callable[..., Reply]


def ask_path(sandbox: Sandbox, path: str) -> Reply:
    """Ask for a path and query as they stand, over a connection of its own."""
    connection = http.client.HTTPConnection(urlsplit(sandbox.url).netloc, timeout=30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return Reply(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


@pytest.fixture
def ask() -> Ask:
    """Ask for statuses: `ask(sandbox, tag, page)`, or with other parameters."""

    def statuses(
        sandbox: Sandbox, tag: str | None = None, page: object = None, key: str | None = "sandbox-key"
    ) -> Reply:
        parameters = {"apiKey": key, "tag": tag, "page": page}
        query = urlencode({name: value for name, value in parameters.items() if value is not None})
        return ask_path(sandbox, f"/v1/bulk-status-by-tag?{query}")

    return statuses


@pytest.fixture
def ask_raw() -> Ask:
    """Ask for any path and query: `ask_raw(sandbox, "/v1/me?apiKey=…")`."""
    return ask_path


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Serve five final rows under each of two tags, two rows on a page."""
    with Sandbox([Campaign(tag, 5, sent_at=1_500_000_000) for tag in ("promo", "other")], page_size=2) as running:
        yield running


@pytest.fixture
def sound(sandbox: Sandbox, ask: Ask) -> bytes:
    """Page 2 of that sandbox, without any fault."""
    reply: Reply = ask(sandbox, "promo", 2)
    return reply.body
