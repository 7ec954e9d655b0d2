"""Faults in an answer as a whole: its HTTP status, its headers, its bytes."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest
from smspartner_pipelines.sandbox import Fault, Sandbox
from smspartner_pipelines.sandbox.answer_faults import ANSWER_FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., Any]

VENDOR_ERRORS: dict[str, tuple[int, dict[str, Any]]] = {
    "vendor_error_1": (200, {"success": False, "code": 1, "message": "Clé API requise"}),
    "vendor_error_3": (200, {"success": False, "code": 3, "message": "Identifiant du message requis"}),
    "vendor_error_4": (200, {"success": False, "code": 4, "message": "Message introuvable"}),
    "vendor_error_10": (200, {"success": False, "code": 10, "message": "Clé API incorrecte"}),
    "vendor_error_10_http_401": (401, {"success": False, "code": 10, "message": "Clé API incorrecte"}),
    "vendor_error_20": (200, {"success": False, "code": 20, "message": "Compte désactivé"}),
    "vendor_error_30": (200, {"success": False, "code": 30, "message": "Compte bloqué"}),
    "vendor_error_40": (200, {"success": False, "code": 40, "message": "Accès à l'API refusé"}),
    "vendor_error_90": (200, {"success": False, "code": 90, "message": "JSON mal formé"}),
    "vendor_error_96": (200, {"success": False, "code": 96, "message": "Adresse IP non autorisée"}),
    "vendor_error_999": (200, {"success": False, "code": 999, "message": "Erreur inconnue"}),
}

HTML_ANSWERS: dict[str, tuple[int, dict[str, str]]] = {
    "rate_limit_seconds": (429, {"Retry-After": "1"}),
    "rate_limit_bare": (429, {}),
    "server_error": (500, {}),
    "unavailable": (503, {"Retry-After": "1"}),
    "request_timeout": (408, {}),
    "not_found": (404, {}),
    "forbidden_html": (403, {}),
    "redirect": (302, {"Location": "/v1/elsewhere"}),
    "redirect_away": (308, {"Location": "https://elsewhere.invalid/v1/bulk-status-by-tag"}),
    "html": (200, {}),
}
"""HTTP status, and the headers that make the difference."""

OTHER_KINDS = (
    "rate_limit_date",
    "not_json",
    "empty_body",
    "cut_json",
    "gzip_cut",
    "utf8_broken",
    "bom",
    "wrong_content_type",
    "no_content",
    "partial_content",
    "gzip",
    "gzip_no_trailer",
    "gzip_garbage",
    "gzip_bomb",
    "utf16",
    "nul_bytes",
    "not_a_number",
    "deep_nesting",
    "total_twice",
    "list_twice",
)
"""The kinds that have a test of their own below."""


def test_every_kind_is_tested() -> None:
    """No fault in an answer goes without a test of its effect."""
    assert {*VENDOR_ERRORS, *HTML_ANSWERS, *OTHER_KINDS} == {
        kind for kind in ANSWER_FAULTS.descriptions if not kind.startswith("echo_")
    }


@pytest.mark.parametrize("kind", VENDOR_ERRORS)
def test_vendor_errors(sandbox: Sandbox, ask: Ask, kind: str) -> None:
    """Vendor errors are one line of JSON with `success: false`."""
    sandbox.faults.add(Fault(kind))
    reply = ask(sandbox, "promo", 2)

    assert VENDOR_ERRORS[kind] == (reply.status, reply.document)
    assert b"\n" not in reply.body


@pytest.mark.parametrize("kind", HTML_ANSWERS)
def test_html_answers(sandbox: Sandbox, ask: Ask, kind: str) -> None:
    """Answers of gateways are HTML, with the HTTP status and headers they say."""
    sandbox.faults.add(Fault(kind))
    reply = ask(sandbox, "promo", 2)
    telling = {name: value for name, value in reply.headers.items() if name in ("Retry-After", "Location")}

    assert HTML_ANSWERS[kind] == (reply.status, telling)
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert reply.body.startswith(b"<!DOCTYPE html>")


def test_rate_limit_date(sandbox: Sandbox, ask: Ask) -> None:
    """A rate limit with a date gives one that lies ahead."""
    before = time.time()
    sandbox.faults.add(Fault("rate_limit_date", seconds=60))
    reply = ask(sandbox, "promo")

    assert reply.status == 429
    assert parsedate_to_datetime(reply.headers["Retry-After"]).timestamp() >= before + 60


@pytest.mark.parametrize(("kind", "body"), [("not_json", b"Service momentarily unavailable\n"), ("empty_body", b"")])
def test_bodies_that_are_no_json(sandbox: Sandbox, ask: Ask, kind: str, body: bytes) -> None:
    """A body that is no JSON, or none at all, comes with HTTP 200."""
    sandbox.faults.add(Fault(kind))
    reply = ask(sandbox, "promo")

    assert (200, body) == (reply.status, reply.body)


def test_cut_json(sandbox: Sandbox, ask: Ask, sound: bytes) -> None:
    """Cut JSON is framed well, so that only the JSON shows the cut."""
    sandbox.faults.add(Fault("cut_json"))
    reply = ask(sandbox, "promo", 2)

    assert sound[: len(sound) // 2] == reply.body
    assert reply.headers["Content-Length"] == str(len(reply.body))


def test_gzip_cut(sandbox: Sandbox, ask: Ask, sound: bytes) -> None:
    """A cut gzip stream is framed well, and unpacks to the beginning of the body only."""
    sandbox.faults.add(Fault("gzip_cut"))
    reply = ask(sandbox, "promo", 2)
    unpacked = zlib.decompressobj(wbits=31).decompress(reply.body)

    assert reply.headers["Content-Encoding"] == "gzip"
    assert reply.headers["Content-Length"] == str(len(reply.body))
    assert sound.startswith(unpacked)
    assert len(unpacked) < len(sound)
    with pytest.raises(EOFError):
        gzip.decompress(reply.body)


def test_utf8_broken(sandbox: Sandbox, ask: Ask, sound: bytes) -> None:
    """Broken UTF-8 is otherwise whole JSON."""
    sandbox.faults.add(Fault("utf8_broken"))
    reply = ask(sandbox, "promo", 2)

    with pytest.raises(UnicodeDecodeError):
        reply.body.decode()
    assert json.loads(sound) | {"message": "Succès"} == json.loads(reply.body.decode("latin-1"))


def test_bom(sandbox: Sandbox, ask: Ask, sound: bytes) -> None:
    """The byte order mark is all that is added."""
    sandbox.faults.add(Fault("bom"))

    assert b"\xef\xbb\xbf" + sound == ask(sandbox, "promo", 2).body


def test_wrong_content_type(sandbox: Sandbox, ask: Ask, sound: bytes) -> None:
    """The content type is all that is wrong."""
    sandbox.faults.add(Fault("wrong_content_type"))
    reply = ask(sandbox, "promo", 2)

    assert (sound, "text/html; charset=utf-8") == (reply.body, reply.headers["Content-Type"])


def test_limits_that_are_over(sandbox: Sandbox, ask: Ask) -> None:
    """A rate limit of no seconds is over when it is told."""
    sandbox.faults.add(Fault("rate_limit_date", seconds=0))

    assert parsedate_to_datetime(ask(sandbox, "promo").headers["Retry-After"]).timestamp() == 0


@pytest.mark.parametrize(("kind", "status"), [("no_content", 204), ("partial_content", 206)])
def test_other_successes(sandbox: Sandbox, ask: Ask, sound: bytes, kind: str, status: int) -> None:
    """HTTP 206 comes with the right answer, HTTP 204 with none."""
    sandbox.faults.add(Fault(kind))
    reply = ask(sandbox, "promo", 2)

    assert (status, sound if status == 206 else b"") == (reply.status, reply.body)


def test_packed_answers(sandbox: Sandbox, ask: Ask, sound: bytes) -> None:
    """All are declared as gzip; one is, one lacks the end of the stream only, one is plain, one unpacks to 100 MiB."""
    bodies = {}
    for kind in ("gzip", "gzip_no_trailer", "gzip_garbage", "gzip_bomb"):
        sandbox.faults.clear()
        sandbox.faults.add(Fault(kind))
        reply = ask(sandbox, "promo", 2)
        assert reply.headers["Content-Encoding"] == "gzip"
        bodies[kind] = reply.body

    bomb = gzip.decompress(bodies["gzip_bomb"])
    assert sound == gzip.decompress(bodies["gzip"])
    assert bodies["gzip"][:-8] == bodies["gzip_no_trailer"]
    assert sound == zlib.decompressobj(wbits=31).decompress(bodies["gzip_no_trailer"])
    assert sound == bodies["gzip_garbage"]
    assert (sound, len(sound) + 100 * 1024 * 1024, b"") == (bomb[: len(sound)], len(bomb), bomb[len(sound) :].strip())
    assert len(bodies["gzip_bomb"]) < 500_000


def test_other_texts(sandbox: Sandbox, ask: Ask, sound: bytes) -> None:
    """The right JSON in another encoding, and with NUL bytes behind it."""
    sandbox.faults.add(Fault("utf16", page=1), Fault("nul_bytes", page=2))

    assert ask(sandbox, "promo", 1).body.decode("utf-16").startswith("{")
    assert sound + bytes(8) == ask(sandbox, "promo", 2).body


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("not_a_number", b'"ratio": NaN'),
        ("deep_nesting", b'"x": ' + b"[" * 100_000 + b"]" * 100_000),
        ("total_twice", b'"total": 0'),
        ("list_twice", b'"StatutResponse_List": []'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_field_more(sandbox: Sandbox, ask: Ask, sound: bytes, kind: str, field: bytes) -> None:
    """The field stands in front of those of the right answer."""
    sandbox.faults.add(Fault(kind))

    assert b"{" + field + b", " + sound[1:] == ask(sandbox, "promo", 2).body
