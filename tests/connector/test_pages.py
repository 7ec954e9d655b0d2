"""One response body and HTTP status: a page, or the error that says why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from smspartner import vendor
from smspartner.columns import read_columns
from smspartner.errors import (
    AccessRefused,
    RateLimited,
    RequestError,
    UnexpectedStatus,
    UnknownTag,
    UnreadableBody,
    VendorError,
)
from smspartner.page import Page, read_page
from smspartner.redaction import REDACT, Secret
from smspartner.rows import documented_rows

DOCUMENTED = Path(__file__).parents[1] / "fixtures" / "documented"
LIST = "StatutResponse_List"
ROW = {"phoneNumber": "+33600000001", "status": "Delivered", "stopSMS": False, "date": "1517989111"}
ENVELOPE: dict[str, Any] = {"success": True, "code": 200, "currentPage": 1, "total": 1, LIST: [ROW]}
TWICE = (
    b'"total": 5',
    b'"t\\u006ftal": 5',
    b'"currentPage": 2',
    b'"code": 10',
    b'"success": false',
    b'"%b": []' % LIST.encode(),
)
"""Fields that the documented envelope has already, with another value."""
HTML = b"<!DOCTYPE html><html><body>Maintenance</body></html>"


def body(**fields: Any) -> bytes:
    """The documented envelope with some fields changed; `...` leaves one out."""
    return json.dumps({name: value for name, value in (ENVELOPE | fields).items() if value is not ...}).encode()


def raw(name: str, value: str) -> bytes:
    """The documented envelope with raw JSON as the value of one field."""
    return body(**{name: "@"}).replace(b'"@"', value.encode())


def refusal(code: object, message: str = "Désolé") -> bytes:
    """An error as the API writes it."""
    return json.dumps({"success": False, "code": code, "message": message}).encode()


def facts(page: Page) -> tuple[int, int, int, bool, tuple[str, ...]]:
    """What a page says of itself, and whether its rows have the documented shape."""
    documented = documented_rows([page.rows_json]) is not None
    return page.number, page.total, page.row_count, documented, page.drift


def test_documented_example() -> None:
    """The example of the vendor's documentation is a page of two rows in the documented shape."""
    page = read_page((DOCUMENTED / "statuses.json").read_bytes())
    assert facts(page) == (1, 2, 2, True, ())
    assert list(map(json.loads, page.raw_rows)) == [ROW, {**ROW, "phoneNumber": "+33600000002", "date": "1517989101"}]


def test_documented_error() -> None:
    """The documented answer to a wrong key refuses access, with the vendor's code and sentence."""
    with pytest.raises(AccessRefused) as caught:
        read_page((DOCUMENTED / "error_10.json").read_bytes())
    assert caught.value.what == 'the API answered code 10 (wrong API key), "Clé API incorrecte"'
    assert (caught.value.code, caught.value.http_status, caught.value.retryable) == (10, 200, False)


@pytest.mark.parametrize(
    ("given_body", "expected"),
    [
        (body(), (1, 1, 1, True, ())),
        (b"\xef\xbb\xbf" + body(), (1, 1, 1, True, ())),
        (b" \r\n" + body() + b"\n\n", (1, 1, 1, True, ())),
        (
            body(total="1", currentPage=" 1 ", code="200"),
            (1, 1, 1, True, tuple(f"envelope field {name} as string" for name in ("code", "currentPage", "total"))),
        ),
        (body(total="0" * 14 + "1"), (1, 1, 1, True, ("envelope field total as string",))),
        (body(success="true"), (1, 1, 1, True, ("envelope field success as string",))),
        (body(success=1), (1, 1, 1, True, ("envelope field success as number",))),
        (body(success="1"), (1, 1, 1, True, ("envelope field success as string",))),
        (body(code=...), (1, 1, 1, True, ())),
        (body(total=10**15 - 1), (1, 10**15 - 1, 1, True, ())),
        (body(**{LIST: []}, total=0), (1, 0, 0, True, ())),
        (body(**{LIST: ..., "StatutResponseList": [ROW]}), (1, 1, 1, True, ())),
        (body(**{LIST: {"0": ROW, "1": ROW}}), (1, 1, 2, False, (f"envelope field {LIST} as object",))),
        (body(**{LIST: {}}), (1, 1, 0, False, (f"envelope field {LIST} as object",))),
        (body(**{LIST: [None, "x", 1]}), (1, 1, 3, False, ())),
        (body(perPage=1000, limit=2), (1, 1, 1, True, ("envelope field limit", "envelope field perPage"))),
        (body()[:-1] + b', "total": 1}', (1, 1, 1, True, ())),  # given twice, and the same
        (body(a=1)[:-1] + b', "a": 2}', (1, 1, 1, True, ("envelope field a",))),
        (body(currentPage=0), (0, 1, 1, True, ())),  # whether it is the page asked for is the walk's question
        (raw("a", '"\\u0000"'), (1, 1, 1, True, ("envelope field a",))),
    ],
)
def test_pages(given_body: bytes, expected: object) -> None:
    """The documented envelope is read in the spellings that PHP back ends use for it; the rest is counted as drift."""
    assert expected == facts(read_page(given_body))


@pytest.mark.parametrize(
    "given_body",
    [
        *(b"", b" \r\n ", b"\xef\xbb\xbf", b"null", b"true", b"[]", b'"text"', b"1", b"{}", HTML, b"  <?xml?>"),
        *(b"Service unavailable", body()[:-1], body()[: len(body()) // 2], body() + b"x", body() + body()),
        *(body().decode().encode("utf-16"), body(message="Succès").replace(b"\\u00e8", b"\xe8")),
        *(body().replace(b"Delivered", b"\xff"), body().replace(b"Delivered", b"\\ud800")),
        *(body().replace(b"Delivered", b"\xed\xa0\x80"), body().replace(b"Delivered", b"a\tb")),
        *(b"[" * 100_000, b'{"a":' * 100_000, raw(LIST, "[" * 100_000 + "]" * 100_000)),
        *(raw("x", '{"a":' * 100_000 + "1" + "}" * 100_000), b"\xef\xbb\xbf\xef\xbb\xbf" + body()),
        *(body(success=...), body(success=None), body(success="yes"), body(success=2), body(success=[True])),
        *(body(code=0), body(code=10), body(code=None), body(code="two hundred"), body(code=200.0), body(code=True)),
        *(body(total=...), body(total=None), body(total=-1), body(total="-1"), body(total=1.0), body(total=1.5)),
        *(body(total=True), body(total="abc"), body(total=""), body(total=[1]), body(total="1" * 16)),
        *(body(total=10**15), body(total=10**30), raw("total", "1" + "0" * 5000), raw("total", "1e400")),
        *(raw("total", "1e3"), raw("total", "NaN"), raw("total", "Infinity"), raw("total", '"\uff11"')),
        *(body(currentPage=...), body(currentPage=None), body(currentPage=-1), body(currentPage=False)),
        *(body(**{LIST: ...}), body(**{LIST: None}), body(**{LIST: "Aucun"}), body(**{LIST: 1}), body(**{LIST: True})),
        *(body(**{LIST: {"phoneNumber": "x"}}), body(**{LIST: ..., "statuses": [ROW]}), body(StatutResponseList=[])),
        raw(LIST, "[NaN]"),
        *(body()[:-1] + b", " + twice + b"}" for twice in TWICE),
        *(b"{" + twice + b", " + body()[1:] for twice in TWICE),
    ],
    ids=lambda value: value[:60].decode("latin-1"),
)
def test_unreadable_bodies(given_body: bytes) -> None:
    """With HTTP 200, anything but the documented envelope is unreadable and worth another try."""
    with pytest.raises(UnreadableBody) as caught:
        read_page(given_body)
    assert (caught.value.retryable, caught.value.http_status, caught.value.retry_after) == (True, None, None)


@pytest.mark.parametrize(
    ("given_body", "reason"),
    [
        (b"", "the body is empty"),
        (HTML, "the body is a web page (HTML or XML), not JSON"),
        (b"oops", "the body (4 bytes) is not a JSON object; it may have been cut"),
        (body(code=10), "the body says success, but its code is not 200"),
        (body(success=...), "the body's `success` is missing or neither true nor false"),
        (body(total=1.5), "the body's `total` is missing or no whole number"),
        (body(currentPage=...), "the body's `currentPage` is missing or no whole number"),
        (body(**{LIST: ...}), "the body has 0 row lists instead of one (StatutResponse_List)"),
        (body(StatutResponseList=[]), "the body has 2 row lists instead of one (StatutResponse_List)"),
        (body(**{LIST: None}), "the body's row list is no list"),
        (body()[:-1] + b', "total": 5}', "the body contradicts itself: it gives `total` twice"),
    ],
)
def test_what_is_wrong_is_said(given_body: bytes, reason: str) -> None:
    """An unreadable body is described in words that hold nothing of it."""
    with pytest.raises(UnreadableBody) as caught:
        read_page(given_body)
    assert reason == caught.value.what


ACCESS = {1, 10, 20, 30, 40, 96}


@pytest.mark.parametrize("http_status", [200, 401, 403, 404, 429, 500, 503])
@pytest.mark.parametrize("code", vendor.ERROR_CODES)
def test_documented_codes_decide_whatever_the_http_status(code: int, http_status: int) -> None:
    """`success: false` with a documented code means the same under every HTTP status, and is never tried again."""
    kind = AccessRefused if code in ACCESS else UnknownTag if code == 4 else VendorError
    with pytest.raises(VendorError) as caught:
        read_page(refusal(code), http_status, 9.0)
    error = caught.value
    assert (kind, code, http_status, False, None) == (
        *(type(error), error.code, error.http_status, error.retryable, error.retry_after),
    )
    assert error.what == f'the API answered code {code} ({vendor.ERROR_CODES[code]}), "Désolé"'


@pytest.mark.parametrize("code", [999, 0, -1, None, "x", 200, 10**30, 1.5, True, [10]])
@pytest.mark.parametrize(
    ("http_status", "kind", "retryable", "retry_after"),
    [
        (200, VendorError, False, None),
        (400, VendorError, False, None),
        (404, VendorError, False, None),
        (408, UnexpectedStatus, True, 9.0),
        (425, UnexpectedStatus, True, 9.0),
        (429, RateLimited, True, 9.0),
        (500, UnexpectedStatus, True, 9.0),
        (503, UnexpectedStatus, True, 9.0),
    ],
)
def test_other_codes_leave_the_word_to_the_http_status(
    code: object,
    http_status: int,
    kind: type[RequestError],
    retryable: bool,  # noqa: FBT001
    retry_after: float | None,
) -> None:
    """`success: false` with a code that is documented nowhere is tried again where the HTTP status says so."""
    with pytest.raises(RequestError) as caught:
        read_page(refusal(code), http_status, 9.0)
    error = caught.value
    assert (kind, http_status, retryable, retry_after) == (
        *(type(error), error.http_status, error.retryable, error.retry_after),
    )


@pytest.mark.parametrize("code", ["10", " 10 "])
def test_codes_as_text(code: str) -> None:
    """A code that is sent as text is the same code."""
    with pytest.raises(AccessRefused) as caught:
        read_page(refusal(code))
    assert caught.value.code == 10


@pytest.mark.parametrize("given_body", [HTML, b"", b"{}", b"null", body(), body(code=10)])
@pytest.mark.parametrize(
    ("http_status", "kind", "retryable"),
    [
        *((status, UnexpectedStatus, False) for status in (201, 204, 206, 301, 302, 304, 400, 401, 403, 404, 410)),
        *((status, UnexpectedStatus, True) for status in (408, 425, 500, 502, 503, 504, 529)),
        (429, RateLimited, True),
    ],
)
def test_http_status_without_an_answer(
    given_body: bytes,
    http_status: int,
    kind: type[RequestError],
    retryable: bool,  # noqa: FBT001
) -> None:
    """Without `success: false` an HTTP status other than 200 is an error, even around a sound page."""
    with pytest.raises(RequestError) as caught:
        read_page(given_body, http_status, 3.0)
    error = caught.value
    assert (kind, http_status, retryable, 3.0) == (
        *(type(error), error.http_status, error.retryable, error.retry_after),
    )
    assert ("redirects are not followed" in str(error)) == (300 <= http_status < 400)


@pytest.mark.parametrize(
    ("message", "quoted"),
    [
        ("Compte  bloqué\n", ', "Compte bloqué"'),
        ("numéro +33612345678 inconnu", ', "numéro *** inconnu"'),
        ("numéro 06 12 34 56 78", ', "numéro ***"'),
        ("clé k3y-of+pages=7 refusée", ', "clé *** refusée"'),
        ("clé k3y-of%2Bpages%3D7", ', "clé ***"'),
        ("é" * 1000, ', "' + "é" * 200 + '"'),
        ("", ""),
        (" ", ""),
    ],
)
def test_the_vendors_sentence(message: str, quoted: str) -> None:
    """The vendor's sentence is quoted in one line, without the key and without anything like a phone number."""
    REDACT.add(Secret("k3y-of+pages=7"))
    with pytest.raises(AccessRefused) as caught:
        read_page(refusal(30, message))
    assert f"the API answered code 30 (account blocked){quoted}" == caught.value.what


@pytest.mark.parametrize("message", ["1e400", "[" * 900 + "]" * 900, "[]", "null", "{}", "1"])
def test_other_messages_are_left_out(message: str) -> None:
    """A message that is no text, or beyond reading, changes nothing about the error."""
    with pytest.raises(AccessRefused, match=r"^the API answered code 10 \(wrong API key\); "):
        read_page(b'{"success": false, "code": 10, "message": ' + message.encode() + b"}")


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_no_depth_of_nesting_ends_a_run(opening: str) -> None:
    """However deep a field is nested, the answer is a page or one of our errors, at every depth about the limit."""
    closing = "]" if opening == "[" else "}"
    for depth in range(1, 1100):
        nested = opening * depth + "1" + closing * depth
        for given_body in (raw("x", nested), raw(LIST, f"[{nested}]"), raw("total", nested), raw("success", nested)):
            try:  # noqa: SIM105
                read_columns([read_page(given_body)])
            except RequestError:
                pass


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(list(ENVELOPE)), inner),
    max_leaves=8,
)
ENVELOPES = st.fixed_dictionaries(
    {}, optional={**{name: JSON | st.just(value) for name, value in ENVELOPE.items()}, "message": JSON}
)
STATUSES = st.sampled_from([200, 204, 302, 400, 404, 408, 429, 500, 503]) | st.integers(100, 599)


@given(st.binary(max_size=200), STATUSES)
@example(b'{"success":false,"code":1e400}', 200)
def test_any_bytes(given_body: bytes, http_status: int) -> None:
    """Whatever bytes a server sends, the answer is a page or one of our request errors."""
    try:
        page = read_page(given_body, http_status)
    except RequestError:
        return
    assert http_status == 200
    assert len(page.raw_rows) == page.row_count


@given(ENVELOPES, STATUSES)
def test_any_json(envelope: dict[str, Any], http_status: int) -> None:
    """Whatever JSON stands in the envelope, the answer is a page or one of our request errors."""
    try:
        page = read_page(json.dumps(envelope).encode(), http_status)
    except RequestError:
        return
    assert http_status == 200
    assert len(page.raw_rows) == page.row_count
    assert page.total >= 0


@given(st.integers(0, 400), st.binary(max_size=4), st.integers(0, 400))
def test_any_damage(start: int, instead: bytes, length: int) -> None:
    """A sound page with any part replaced is a page or unreadable; nothing else is raised."""
    sound = (DOCUMENTED / "statuses.json").read_bytes()
    try:
        page = read_page(sound[:start] + instead + sound[start + length :])
    except RequestError:
        return
    assert len(page.raw_rows) == page.row_count
