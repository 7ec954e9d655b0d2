"""One response body and HTTP status: a page, or the error that says why not."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from smspartner import errors, vendor
from smspartner.page import read_page
from smspartner.redaction import REDACT, Secret

DOCUMENTED = Path(__file__).parents[1] / "fixtures" / "documented"
LIST = "StatutResponse_List"
ROW = {"phoneNumber": "+33600000001", "status": "Delivered", "stopSMS": False, "date": "1517989111"}
ENVELOPE = {"success": True, "code": 200, "currentPage": 1, "total": 1, LIST: [ROW]}
TWICE = (
    *(b'"total": 5', b'"t\\u006ftal": 5', b'"currentPage": 2', b'"code": 10', b'"success": false'),
    b'"%b": []' % LIST.encode(),
)
"""Fields that the documented envelope has already, with another value."""
HTML = b"<!DOCTYPE html><html><body>Maintenance</body></html>"


def body(**fields):
    """The documented envelope with some fields changed; `...` leaves one out."""
    return json.dumps({name: value for name, value in (ENVELOPE | fields).items() if value is not ...}).encode()


def raw(name, value):
    """The documented envelope with raw JSON as the value of one field."""
    return body(**{name: "@"}).replace(b'"@"', value.encode())


def refusal(code, message="Désolé"):
    """An error as the API writes it."""
    return json.dumps({"success": False, "code": code, "message": message}).encode()


def error_of(given_body, http_status=200):
    """What reading a body raises."""
    with pytest.raises(errors.RequestError) as caught:
        read_page(given_body, http_status)
    return caught.value


def facts(page):
    """What a page says of itself."""
    assert len(page.raw_rows) == page.row_count
    assert page.rows_json.decode()[0] == "["
    return page.number, page.total, page.row_count, page.drift


def test_the_documented_examples():
    """The example of the vendor's documentation is a page of two rows, its error the refusal of a wrong key."""
    page = read_page((DOCUMENTED / "statuses.json").read_bytes())
    assert facts(page) == (1, 2, 2, ())
    assert list(map(json.loads, page.raw_rows)) == [ROW, {**ROW, "phoneNumber": "+33600000002", "date": "1517989101"}]
    error = error_of((DOCUMENTED / "error_10.json").read_bytes())
    assert isinstance(error, errors.AccessRefused)
    assert error.what == 'the API answered code 10 (wrong API key), "Clé API incorrecte"'
    assert (error.code, error.remedy) == (10, "check the key in your SMS Partner account")


@pytest.mark.parametrize(
    ("given_body", "expected"),
    [
        (body(), (1, 1, 1, ())),
        (b"\xef\xbb\xbf" + body(), (1, 1, 1, ())),
        (b" \r\n" + body() + b"\n\n", (1, 1, 1, ())),
        (body(total="1", currentPage=" 1 ", code="200"), (1, 1, 1, ())),
        (body(total="0" * 14 + "1"), (1, 1, 1, ())),
        (body(success="true"), (1, 1, 1, ("envelope field success as string",))),
        (body(success=1), (1, 1, 1, ("envelope field success as number",))),
        (body(success="1"), (1, 1, 1, ("envelope field success as string",))),
        (body(code=...), (1, 1, 1, ())),
        (body(total=10**15 - 1), (1, 10**15 - 1, 1, ())),
        (body(**{LIST: []}, total=0), (1, 0, 0, ())),
        (body(**{LIST: ...}, total=0), (1, 0, 0, ())),
        (body(**{LIST: ...}, total="0"), (1, 0, 0, ())),
        (body(**{LIST: None}, total=0), (1, 0, 0, (f"envelope field {LIST} as null",))),
        (body(**{LIST: None}, total=7), (1, 7, 0, (f"envelope field {LIST} as null",))),
        (body(**{LIST: ..., "StatutResponseList": [ROW]}), (1, 1, 1, ())),
        (body(**{LIST: {"0": ROW, "1": ROW}}), (1, 1, 2, ())),
        (body(**{LIST: {}}), (1, 1, 0, ())),
        (body(**{LIST: [None, "x", 1]}), (1, 1, 3, ())),
        (body(perPage=1000, limit=2), (1, 1, 1, ("envelope field limit", "envelope field perPage"))),
        (body()[:-1] + b', "total": 1}', (1, 1, 1, ())),  # given twice, and the same
        (body(a=1)[:-1] + b', "a": 2}', (1, 1, 1, ("envelope field a",))),
        (body(currentPage=0), (0, 1, 1, ())),  # whether it is the page asked for, the completeness rule judges
        (raw("a", '"\\u0000"'), (1, 1, 1, ("envelope field a",))),
        (raw("a", '"\\ud83d"'), (1, 1, 1, ("envelope field a",))),
        (body(a=1).replace(b'"a"', b'"\\ud83da"'), (1, 1, 1, ("envelope field \ufffda",))),
        (body(a=1).replace(b'"a"', b'"\xffa"'), (1, 1, 1, ("envelope field \ufffda",))),
        (body(**{"a\x1b[31m\u202eb": 1, "06 12 34 56 78": 2}), (1, 1, 1, ("envelope field ***", "envelope field ab"))),
    ],
)
def test_pages(given_body, expected):
    """The documented envelope is read in the spellings that PHP back ends use for it; the rest is drift, made plain."""
    assert expected == facts(read_page(given_body))


ONE_BAD_CELL = {
    "half a pair in a value": b'{"status": "\\ud83d"}',
    "the other half": b'{"status": "\\udc00"}',
    "half a pair in a name": b'{"\\ud83d": "x"}',
    "half a pair and a quote": b'{"status": "a\\"]},\\ud83d"}',
    "not UTF-8": b'{"status": "\xff"}',
    "Latin-1": b'{"status": "Livr\xe9"}',
    "half a pair in UTF-8": b'{"status": "\xed\xa0\x80"}',
}


@pytest.mark.parametrize("opening", [b"[", b"{"])
@pytest.mark.parametrize("case", ONE_BAD_CELL)
def test_one_bad_cell_costs_one_row(case, opening):
    """A row that no reader accepts leaves the rows beside it, and the page, readable; it stays a row of its own."""
    bad = ONE_BAD_CELL[case]
    rows = [b'{"x": [1, "]"]}', bad, json.dumps(ROW).encode()]
    listed = b"[%b]" % b" , ".join(rows)
    if opening == b"{":
        listed = b"{%b}" % b",".join(b'"%d": %b' % numbered for numbered in enumerate(rows))
    page = read_page(body(total=3).replace(json.dumps([ROW]).encode(), listed))
    assert facts(page) == (1, 3, 3, ())
    assert (page.raw_rows[0], page.raw_rows[2]) == (rows[0], rows[2])
    kept = page.raw_rows[1].decode()
    assert "\\ud" in kept
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(kept)


@pytest.mark.parametrize(
    "given_body",
    [
        *(b"", b" \r\n ", b"\xef\xbb\xbf", b"null", b"true", b"[]", b'"text"', b"1", b"{}", HTML, b"  <?xml?>"),
        *(b"Service unavailable", body()[:-1], body()[: len(body()) // 2], body() + b"x", body() + body()),
        *(body().decode().encode("utf-16"), body().replace(b"Delivered", b"a\tb")),
        *(body().replace(b"Delivered", b"\\ud800")[:-2], body().replace(b"Delivered", b"\\ud800") + b"}"),
        *(body().replace(b"Delivered", b"\\ud800").replace(b"false", b"fals"), body().replace(b"1", b"\xff")),
        *(b"[" * 100_000, b'{"a":' * 100_000, b"\xef\xbb\xbf\xef\xbb\xbf" + body()),
        *(body(success=...), body(success=None), body(success="yes"), body(success=2), body(success=[True])),
        *(body(code=0), body(code=10), body(code=None), body(code="two hundred"), body(code=200.0), body(code=True)),
        *(body(total=...), body(total=None), body(total=-1), body(total="-1"), body(total=1.0), body(total=1.5)),
        *(body(total=True), body(total="abc"), body(total=""), body(total=[1]), body(total="1" * 16)),
        *(body(total=10**15), body(total=10**30), raw("total", "1" + "0" * 5000), raw("total", "1e400")),
        *(raw("total", "1e3"), raw("total", "NaN"), raw("total", "Infinity"), raw("total", '"\uff11"')),
        *(body(currentPage=...), body(currentPage=None), body(currentPage=-1), body(currentPage=False)),
        *(body(**{LIST: ...}), body(**{LIST: "Aucun"}), body(**{LIST: 1}), body(**{LIST: True})),
        *(body(**{LIST: {"phoneNumber": "x"}}), body(**{LIST: ..., "statuses": [ROW]}), body(StatutResponseList=[])),
        *(body(**{LIST: {"0": 1, "x": 2}}), body(**{LIST: {"\u00b2": 1}}), body(**{LIST: {"": 1}})),
        *(raw(LIST, '{"0": 1, "0": 2}'), raw(LIST, "[NaN]"), raw(LIST, '["\\ud800", tru]')),
        *(raw(LIST, '["\\ud800", 01]'), raw(LIST, '["\\ud800" x1]')),
        *(body()[:-1] + b", " + twice + b"}" for twice in TWICE),
        *(b"{" + twice + b", " + body()[1:] for twice in TWICE),
    ],
    ids=lambda value: value[:60].decode("latin-1"),
)
def test_unreadable_bodies(given_body):
    """With HTTP 200, anything but the documented envelope is unreadable and worth another try."""
    error = error_of(given_body)
    assert (isinstance(error, errors.UnreadableBody), error.retryable) == (True, True)


def test_what_was_cut_is_not_taken_for_an_answer_without_rows():
    """JSON that breaks off is cut, wherever it does; other JSON, text and web pages are not: they hold no rows."""
    whole = body()
    assert {type(error_of(whole[:end])) for end in range(1, len(whole))} == {errors.CutBody}
    for other in (b"", b"[]", b"null", b"oops", HTML, b" [1, 2] "):
        assert type(error_of(other)) is errors.UnreadableBody


@pytest.mark.parametrize(
    ("given_body", "what"),
    [
        (b"", "the body is empty"),
        (HTML, "the body is a web page (HTML or XML), not JSON"),
        (b"oops", "the body (4 bytes) is not a JSON object; it may have been cut"),
        (body(code=10), "the body says success, but its code is not 200"),
        (body(success=...), "the body's `success` is missing or neither true nor false"),
        (body(total=1.5), "the body's `total` is missing or not a whole number"),
        (body(currentPage=...), "the body's `currentPage` is missing or not a whole number"),
        (body(**{LIST: ...}), "the body has 0 row lists instead of one (StatutResponse_List)"),
        (body(StatutResponseList=[]), "the body has 2 row lists instead of one (StatutResponse_List)"),
        (body(**{LIST: 1}), "the body's row list is not a list"),
        (body()[:-1] + b', "total": 5}', "the body contradicts itself: it gives `total` twice"),
    ],
)
def test_what_is_wrong_is_said(given_body, what):
    """An unreadable body is described in words that hold nothing of it."""
    assert error_of(given_body).what == what


ACCESS = {1, 10, 20, 30, 40, 96}


@pytest.mark.parametrize("http_status", [200, 401, 404, 429, 503])
def test_documented_codes_decide_whatever_the_http_status(http_status):
    """`success: false` with a documented code means the same under every HTTP status; 50, 429, 500 are tried again."""
    for code, (meaning, remedy) in vendor.ERROR_CODES.items():
        error = error_of(refusal(code), http_status)
        kind = errors.RateLimited if code == 429 else errors.VendorError
        kind = {4: errors.UnknownTag, **dict.fromkeys(ACCESS, errors.AccessRefused)}.get(code, kind)
        assert (code, kind, code in {50, 429, 500}) == (code, type(error), error.retryable)
        assert (code, getattr(error, "code", 429)) == (code, code)
        assert error.what == f'the API answered code {code} ({meaning}), "Désolé"'
        assert error.remedy == remedy


FINAL = (201, 204, 206, 301, 302, 304, 400, 401, 403, 404, 410)
AGAIN = (408, 425, 429, 500, 502, 503, 504, 529)


@pytest.mark.parametrize("http_status", [200, *FINAL, *AGAIN])
def test_http_statuses(http_status):
    """One other than 200 is an error, even around a valid page; it decides whether undocumented codes are retried."""
    kind = errors.RateLimited if http_status == 429 else errors.UnexpectedStatus
    for given_body in (HTML, b"", b"{}", b"null", body(), body(code=10)) if http_status != 200 else ():
        error = error_of(given_body, http_status)
        assert (kind, http_status in AGAIN) == (type(error), error.retryable)
        assert ("redirects are not followed" in str(error)) == (300 <= http_status < 400)
    for code in (999, 0, -1, None, "x", 200, 10**30, 1.5, True, [10]):
        error = error_of(refusal(code), http_status)
        assert (code, type(error)) == (code, kind if http_status in AGAIN else errors.VendorError)
        assert error.retryable == (http_status in AGAIN)


@pytest.mark.parametrize(
    ("fields", "quoted"),
    [
        ('"message": "Compte  bloqué\\n"', ', "Compte bloqué"'),
        ('"message": "numéro +33612345678 inconnu"', ', "numéro *** inconnu"'),
        ('"message": "numéro ０６ 12    34 56 ٧٨"', ', "numéro ***"'),  # noqa: RUF001
        ('"message": "clé K3Y-of+pages=7 refusée"', ', "clé *** refusée"'),
        ('"message": "clé k3y-of%2Bpages%3D7"', ', "clé ***"'),
        ('"message": "a\\u0000\\u001b[1mb\\u202e\\u200bc \\ud83d"', ', "abc"'),
        (f'"message": "{"é" * 1000}"', f', "{"é" * 199}…"'),
        ('"message": ""', ""),
        ('"message": " "', ""),
        *((f'"message": {other}', "") for other in ("1e400", "[" * 900 + "]" * 900, "[]", "null", "{}")),
        ('"error": [{"elementId": "tag", "message": "trop long"}, {"message": "x"}]', ', "tag: trop long", "x"'),
        ('"message": "m", "error": [{"elementId": 3}, "text", null, "fourth"]', ', "m", "3", "text"'),
        ('"error": {"elementId": "tag", "message": "06 12 34 56 78"}', ', "tag: ***"'),
        ('"error": "text"', ', "text"'),
    ],
    ids=lambda value: value[:50],
)
def test_the_vendors_words(fields, quoted):
    """A refusal quotes `message` and the entries of `error`, each on one line, without key, number or control codes."""
    REDACT.add(Secret("k3y-of+pages=7"))
    error = error_of(b'{"success": false, "code": 30, %b}' % fields.encode())
    assert f"the API answered code 30 (account blocked){quoted}" == error.what


def test_codes_decide_whatever_the_encoding():
    """A refusal stays that refusal, whatever its sentence is encoded in, and however its code is written."""
    for code in (b"10", b'"10"', b'" 10 "'):
        for message in (b"Cl\xe9", b"Cl\\ud83d", b"Cl\xed\xa0\x80", b"Cl\t\x1b", b"Cl\xc3\xa9"):
            error = error_of(b'{"success": false, "code": %b, "message": "%b"}' % (code, message), 403)
            assert isinstance(error, errors.AccessRefused)
            assert error.code == 10
    assert error.what.endswith('"Clé"')
    with pytest.raises(errors.AccessRefused, match='"Clé"'):
        read_page(b'{"success": false, "code": 10, "message": "Cl\xe9"}', 200, "ISO-8859-1")


def test_values_of_a_page_are_bounded():
    """A body of more values than a page can have is refused before anything is made of each."""
    for values in ("[" + "0," * 31_000_000 + "0]", '[{"a":"\\ud83d"}' + ",0" * 9_999_999 + "]"):
        error = error_of(raw(LIST, values))
        assert (type(error), error.retryable) == (errors.BodyTooLarge, False)
        assert error.what == "the body has over 1,000,000 values, which no page has"


def test_no_depth_of_nesting_ends_a_run():
    """However deep a field is nested, the answer is a page or one of our errors, at every depth about the limit."""
    for depth in (*range(1, 20), *range(900, 1100, 3), 100_000):
        for opening, closing in (("[", "]"), ('{"a":', "}")):
            nested = opening * depth + "1" + closing * depth
            for name in ("x", LIST, "total", "success"):
                try:
                    page = read_page(raw(name, f"[{nested}]"))
                except errors.RequestError:
                    continue
                assert len(page.raw_rows) == page.row_count


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(list(ENVELOPE)), inner),
    max_leaves=8,
)
ENVELOPES = st.fixed_dictionaries(
    {}, optional={**{name: JSON | st.just(value) for name, value in ENVELOPE.items()}, "message": JSON, "error": JSON}
)
STATUSES = st.sampled_from([200, 204, 302, 400, 404, 408, 429, 500, 503])
BROKEN = (DOCUMENTED / "statuses.json").read_bytes()


@settings(max_examples=40)
@given(
    st.binary(max_size=200)
    | ENVELOPES.map(lambda envelope: json.dumps(envelope).encode())
    | st.tuples(st.integers(0, 400), st.binary(max_size=6) | st.just(b"\\ud83d"), st.integers(0, 40)).map(
        lambda damage: BROKEN[: damage[0]] + damage[1] + BROKEN[damage[0] + damage[2] :]
    ),
    STATUSES,
)
@example(b'{"success":false,"code":1e400}', 200)
def test_any_body(given_body, http_status):
    """Whatever a server sends, or damages on the way, the answer is a page or one of our request errors."""
    try:
        page = read_page(given_body, http_status)
    except errors.RequestError:
        return
    assert (http_status, len(page.raw_rows)) == (200, page.row_count)
    page.rows_json.decode()
