"""The dozen faults to rehearse a job on: what any HTTP API does on a bad day, and what would cost rows unseen."""

from __future__ import annotations

import math
from dataclasses import replace

from smspartner_pipelines.sandbox.answers import LIST_KEY, Answer, PageDraft, html_answer, vendor_error
from smspartner_pipelines.sandbox.faults import Kind, Strike
from smspartner_pipelines.sandbox.wire import Wire


def _slow(wire: Wire, answer: Answer, strike: Strike) -> Answer:
    wire.pause(strike.seconds)
    return answer


def _reset(wire: Wire, _answer: Answer, _strike: Strike) -> None:
    wire.reset()


def _rate_limit(_answer: Answer, strike: Strike) -> Answer:
    return html_answer(429, "Too Many Requests", ("Retry-After", str(math.ceil(strike.seconds))))


def _server_error(_answer: Answer, _strike: Strike) -> Answer:
    return html_answer(500, "Internal Server Error")


def _html(_answer: Answer, _strike: Strike) -> Answer:
    return html_answer(200, "Maintenance en cours")


def _cut_json(answer: Answer, _strike: Strike) -> Answer:
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def _unknown_tag(_answer: Answer, _strike: Strike) -> Answer:
    return vendor_error(4)


def _key_refused(_answer: Answer, _strike: Strike) -> Answer:
    return vendor_error(10)


def _short_page(page: PageDraft, _strike: Strike) -> None:
    page.document[LIST_KEY] = page.document[LIST_KEY][:-1]


def _repeated_page(page: PageDraft, _strike: Strike) -> None:
    page.show(1)


def _total_grows(page: PageDraft, strike: Strike) -> None:
    page.document["total"] += strike.nth


def _in_first_row(page: PageDraft, field: str, value: object) -> None:
    first, *others = page.document[LIST_KEY] or [None]
    if isinstance(first, dict):
        page.document[LIST_KEY] = [first | {field: value}, *others]


def _bad_status(page: PageDraft, _strike: Strike) -> None:
    _in_first_row(page, "status", "Teleported")


def _bad_number(page: PageDraft, _strike: Strike) -> None:
    _in_first_row(page, "phoneNumber", "n/a")


FAULT_KINDS = {
    "slow": Kind("waits `seconds` (default 1) before it answers", wire=_slow),
    "reset": Kind("the connection is reset before the first byte", wire=_reset),
    "rate_limit_seconds": Kind("HTTP 429 with Retry-After in seconds (`seconds`, default 1)", answer=_rate_limit),
    "server_error": Kind("HTTP 500 with HTML", answer=_server_error),
    "html": Kind("HTML with HTTP 200", answer=_html),
    "cut_json": Kind("JSON cut in the middle, with the Content-Length of what is sent", answer=_cut_json),
    "vendor_error_4": Kind("the vendor's error 4: nothing is known under the tag", answer=_unknown_tag),
    "vendor_error_10": Kind("the vendor's error 10: the key is wrong", answer=_key_refused),
    "short_page": Kind("the last row of the page is missing", page=_short_page),
    "repeated_page": Kind("the rows of page 1 under the number of the page asked for", page=_repeated_page),
    "total_grows": Kind("the total is one row higher at every request that is struck", page=_total_grows),
    "bad_status": Kind("the first row has an unknown status word", page=_bad_status),
    "bad_number": Kind("the first row's number is `n/a`", page=_bad_number),
}
"""Every kind of fault of the sandbox by its name."""
