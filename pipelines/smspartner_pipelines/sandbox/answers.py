"""What the API answers, as bytes: pages laid out as the documentation prints them, errors, the account."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
LIST_KEY = "StatutResponse_List"

VENDOR_MESSAGES = {1: "Clé API requise", 3: "Tag requis", 4: "Message introuvable", 10: "Clé API incorrecte"}
"""The vendor's codes that the sandbox answers with; only the sentence of code 10 is the documentation's own."""

_encode = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True)
class Answer:
    """One HTTP answer before it is sent; Content-Length is that of `body`."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Page:
    """A page before it is written down, which faults may change; beyond the end it is empty, with the right total.

    Attributes:
        asked: the number of the page asked for.
        size: rows on a page.
        rows: how many there are under the tag.
        between: gives the rows between two indices (the second is not included).
        document: the page as it will be sent, in the documented order of keys; rows that are `str` are raw JSON.
    """

    asked: int
    size: int
    rows: int
    between: Callable[[int, int], list[object]]
    document: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.document = {"success": True, "code": 200, "currentPage": self.asked, "total": self.rows}
        self.show(self.asked)

    def show(self, page: int) -> None:
        """Send the rows of this page, under any number the document gives."""
        start, stop = (page - 1) * self.size, min(page * self.size, self.rows)
        self.document[LIST_KEY] = self.between(start, stop) if 0 <= start < stop else []

    def body(self) -> bytes:
        """Lay the page out exactly as the documentation prints it: one line for each key and one for each row."""
        members = (f"  {_encode(key)}: {_member(value)}" for key, value in self.document.items())
        return ("{\n" + ",\n".join(members) + "\n}").encode()


def _member(value: object) -> str:
    if not isinstance(value, list):
        return _encode(value)
    rows = (f"    {row if isinstance(row, str) else _encode(row)}" for row in value)
    return "[\n" + ",\n".join(rows) + "\n  ]" if value else "[]"


def html_answer(status: int, title: str, *headers: tuple[str, str]) -> Answer:
    """Make an HTML page, as gateways and proxies in front of an API write them."""
    body = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return Answer(body.encode(), status, HTML, headers)


def vendor_error(code: int, message: str | None = None, status: int = 200) -> Answer:
    """Make a `success: false` with the vendor's code; HTTP 200, unless another status is given."""
    body = {"success": False, "code": code, "message": message or VENDOR_MESSAGES[code]}
    return Answer(_encode(body).encode(), status)


def account() -> Answer:
    """Make the answer of `/v1/me`: an account and its credits, in the documented shape."""
    user = {"username": "sandbox@example.com", "firstname": "Ada", "lastname": "Bac-à-sable"}
    credits_left = {"creditSms": 5000, "creditSmsECO": 8000, "creditHlr": 20000, "toSend": 0}
    money = {"solde": "190.000", "currency": "EUR", "balance": "190.000"}
    body = {"success": True, "code": 200, "user": user, "credits": credits_left | money}
    return Answer(_encode(body).encode())
