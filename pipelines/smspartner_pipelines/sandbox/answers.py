"""What the API answers, as bytes: pages laid out as the documentation prints them, errors, the account."""

from __future__ import annotations

import json
from dataclasses import dataclass

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
LIST_KEY = "StatutResponse_List"

VENDOR_MESSAGES = {
    1: "Clé API requise",
    3: "Identifiant du message requis",
    4: "Message introuvable",
    10: "Clé API incorrecte",
    20: "Compte désactivé",
    30: "Compte bloqué",
    40: "Accès à l'API refusé",
    90: "JSON mal formé",
    96: "Adresse IP non autorisée",
    999: "Erreur inconnue",  # documented nowhere
}
"""The vendor's codes with a sentence each; only that of code 10 is the documentation's own."""

_encode = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True)
class Answer:
    """One HTTP answer before it is sent; Content-Length is that of `body`."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


def html_answer(status: int, title: str, *headers: tuple[str, str]) -> Answer:
    """Make an HTML page, as gateways and proxies in front of an API write them."""
    body = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return Answer(body.encode(), status, HTML, headers)


def vendor_error(code: int, message: str | None = None, status: int = 200) -> Answer:
    """Make a `success: false` with the vendor's code; HTTP 200, unless told otherwise."""
    body = {"success": False, "code": code, "message": message or VENDOR_MESSAGES[code]}
    return Answer(_encode(body).encode(), status)


def account() -> Answer:
    """Make the answer of `/v1/me`: an account and its credits, in the documented shape."""
    user = {"username": "sandbox@example.com", "firstname": "Ada", "lastname": "Bac-à-sable"}
    credits_left = {"creditSms": 5000, "creditSmsECO": 8000, "creditHlr": 20000, "toSend": 0}
    money = {"solde": "190.000", "currency": "EUR", "balance": "190.000"}
    body = {"success": True, "code": 200, "user": user, "credits": credits_left | money}
    return Answer(_encode(body).encode())


def envelope(page: int, total: int, rows: list[object]) -> dict[str, object]:
    """Make the document of one page, in the documented key order."""
    return {"success": True, "code": 200, "currentPage": page, "total": total, LIST_KEY: rows}


def render_page(document: dict[str, object]) -> bytes:
    """Lay a page out exactly as the documentation prints it: one line for each key and one for each row."""
    members = (f"  {_encode(key)}: {_member(value)}" for key, value in document.items())
    return ("{\n" + ",\n".join(members) + "\n}").encode()


def row_value(row: object) -> object:
    """Read a row as a JSON value: rows that are `str` are raw JSON text."""
    return json.loads(row) if isinstance(row, str) else row


def _member(value: object) -> str:
    if not isinstance(value, list):
        return _encode(value)
    if not value:
        return "[]"
    return "[\n" + ",\n".join(f"    {row if isinstance(row, str) else _encode(row)}" for row in value) + "\n  ]"
