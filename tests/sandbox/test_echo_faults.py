"""Faults that repeat the key: it is really there, in the place and the spelling that the fault is named after."""

from __future__ import annotations

import base64
import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, urlsplit

import pytest
from smspartner_pipelines.sandbox import FAULT_KINDS, Campaign, Fault, Sandbox
from smspartner_pipelines.sandbox.echo_faults import encoded_anew, key_of

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "k+y/1 &"
SENT = quote(KEY, safe="")
TARGET = f"/v1/bulk-status-by-tag?apiKey={SENT}&tag=promo"
ROW = {"phoneNumber": "+33639980001", "status": "Delivered", "stopSMS": False, "date": "1517989111"}

ECHOES: dict[str, Callable[[Any], tuple[object, object]]] = {
    "echo_message": lambda got: (got["message"], f"Erreur inconnue: GET {TARGET}"),
    "echo_message_decoded": lambda got: (got["message"], f"Erreur inconnue avec la clé {KEY}"),
    "echo_message_anew": lambda got: (got["message"], encoded_anew(KEY)),
    "echo_refusal": lambda got: ((got["code"], got["message"]), (10, f"Clé API incorrecte: {KEY}")),
    "echo_unknown": lambda got: ((got["code"], got["message"]), (4, f"Message introuvable: {TARGET}")),
    "echo_envelope": lambda got: (got[KEY], TARGET),
    "echo_total": lambda got: (got["total"], TARGET),
    "echo_number": lambda got: (_first(got), ROW | {"phoneNumber": KEY}),
    "echo_status": lambda got: (_first(got), ROW | {"status": KEY}),
    "echo_date": lambda got: (_first(got), ROW | {"date": KEY}),
    "echo_row": lambda got: (_first(got), dict.fromkeys([*ROW, KEY], TARGET)),
    "echo_field": lambda got: (_first(got), ROW | {KEY: KEY, f"seen at {TARGET}": TARGET}),
    "echo_row_anew": lambda got: (json.loads(json.loads(_first(got)["status"])["apiKey"]), KEY),
}
"""What is found in the JSON, and what must be."""
TEXTS = {
    "echo_html": "Error at /v1/bulk-status-by-tag?apiKey=k%2By%2F1%20%26&amp;tag=promo (k+y/1 &amp;)",
    "echo_not_json": f"\r\n\r\nCannot GET {TARGET}\n",
    "echo_redirect": f"Location: /v1/elsewhere?apiKey={SENT}&tag=promo\r\n",
    "echo_header": f"X-Request: {TARGET}\r\nSet-Cookie: apiKey={quote(KEY)}; Path=/\r\n",
    "echo_retry_after": f"Retry-After: {TARGET}\r\n",
    "echo_request": f"GET {TARGET} HTTP/1.1\r\n\r\n",
}
"""What stands in the bytes of the answer, head included."""


def _first(got: Any) -> Any:
    return got["StatutResponse_List"][0]


def answer(kind: str) -> str:
    """Give the bytes of the answer that this fault strikes, as text."""
    faults, campaigns = [Fault(kind)], [Campaign.of_rows("promo", [ROW])]
    with Sandbox(campaigns, faults=faults, api_key=KEY) as sandbox:
        address = urlsplit(sandbox.url)
        with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
            connection.sendall(f"GET {TARGET} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            with connection.makefile("rb") as received:
                return received.read().decode()


def test_every_kind_is_tested() -> None:
    """No fault that repeats the key goes without a test of its effect."""
    assert ECHOES.keys() | TEXTS.keys() == {kind for kind in FAULT_KINDS if kind.startswith("echo_")}


@pytest.mark.parametrize("kind", ECHOES)
def test_echoes_in_json(kind: str) -> None:
    """The field has the key or the URL in it."""
    found, expected = ECHOES[kind](json.loads(answer(kind).partition("\r\n\r\n")[2]))
    assert found == expected


@pytest.mark.parametrize("kind", TEXTS)
def test_echoes_in_the_answer(kind: str) -> None:
    """The answer has the URL in it."""
    assert TEXTS[kind] in answer(kind)


def test_encodings() -> None:
    """A key is written in ways that differ from how it was sent."""
    assert key_of(TARGET) == KEY
    ways = encoded_anew(KEY)
    for way in (
        "k%2by%2f1%20%26",
        quote_plus(KEY),
        quote(SENT, safe=""),
        "&#x2B;",
        "\\u002b",
        KEY.encode().hex().upper(),
    ):
        assert way in ways
    assert base64.b64encode(b"user:k+y/1 &").decode() in ways
