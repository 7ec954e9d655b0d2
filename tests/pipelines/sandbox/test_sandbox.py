"""The sandbox answers as the documentation says, byte for byte where it shows bytes, and stops when it is stopped."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
from smspartner_pipelines.sandbox import DOCUMENTED, Campaign, Fault, Sandbox, parse_fault

DOCUMENTED_BODIES = Path(__file__).parents[2] / "fixtures" / "documented"
STATUSES = "/v1/bulk-status-by-tag"
SENT = 1_760_000_000
PROMO = Campaign("promo", 25, SENT)


def get(sandbox: Sandbox, path: str) -> tuple[int, bytes]:
    """Ask for a path and query, over a connection of its own; give HTTP status and body."""
    connection = http.client.HTTPConnection(urlsplit(sandbox.url).netloc, timeout=30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def ask(sandbox: Sandbox, tag: str, page: object = None, key: str = "sandbox-key") -> Any:
    """Ask for a page of statuses, and give its JSON."""
    query = {"apiKey": key, "tag": tag} | ({} if page is None else {"page": page})
    return json.loads(get(sandbox, f"{STATUSES}?{urlencode(query)}")[1])


@pytest.mark.parametrize(("key", "fixture"), [("sandbox-key", "statuses.json"), ("wrong", "error_10.json")])
def test_documented_bodies_byte_for_byte(key: str, fixture: str) -> None:
    """The documented example and the documented error are answered exactly as the documentation prints them."""
    with Sandbox() as sandbox:
        found = get(sandbox, f"{STATUSES}?apiKey={key}&tag=documented")
    assert found == (200, (DOCUMENTED_BODIES / fixture).read_bytes())


def test_codes() -> None:
    """Each mistake in a request has the vendor's code for it, with HTTP 200; tags are told apart by case."""
    codes = {
        STATUSES: 1,
        f"{STATUSES}?apiKey=&tag=promo": 1,
        f"{STATUSES}?apiKey=sandbox-keY&tag=promo": 10,
        f"{STATUSES}?apiKey=sandbox-key": 3,
        f"{STATUSES}?apiKey=sandbox-key&tag=": 3,
        f"{STATUSES}?apiKey=sandbox-key&tag=Promo": 4,
        "/v1/me?apiKey=wrong": 10,
        "/v1/me?apiKey=sandbox-key": 200,
    }
    with Sandbox([PROMO]) as sandbox:
        found = {path: get(sandbox, path) for path in codes}
        assert get(sandbox, "/v1/elsewhere")[0] == 404
    assert {path: (status, json.loads(body)["code"]) for path, (status, body) in found.items()} == {
        path: (200, code) for path, code in codes.items()
    }


def test_pages_add_up() -> None:
    """The pages of a tag are its population, in order; without a number, or with an odd one, page 1 answers."""
    with Sandbox([PROMO], page_size=10, clock=lambda: SENT + 3600.0) as sandbox:
        pages = [ask(sandbox, "promo", number) for number in (1, 2, 3, 4)]
        odd = [ask(sandbox, "promo", page) for page in (None, "1", "0", "-2", "two", "", "9" * 30)]
    assert PROMO.population(SENT + 3600) == [row for page in pages for row in page["StatutResponse_List"]]
    assert [(page["currentPage"], page["total"]) for page in pages] == [(1, 25), (2, 25), (3, 25), (4, 25)]
    assert [len(page["StatutResponse_List"]) for page in pages] == [10, 10, 5, 0]
    assert odd == pages[:1] * 7


def test_any_tag_and_any_row() -> None:
    """Tags may hold any character, and rows of raw JSON are sent unchanged, also where they are no JSON at all."""
    tag = "soldes-été&b=c 100%+日本'\";"
    with Sandbox([Campaign.of_rows(tag, ['{"n":1e3}', None, "{oops"]), Campaign("empty", 0, SENT)]) as sandbox:
        _, body = get(sandbox, f"{STATUSES}?apiKey=sandbox-key&tag={quote(tag)}")
        assert ask(sandbox, "empty")["StatutResponse_List"] == []
    assert body.endswith(b'"total": 3,\n  "StatutResponse_List": [\n    {"n":1e3},\n    null,\n    {oops\n  ]\n}')


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault("html"), "11111"),
        (Fault("html", tag="a"), "11001"),
        (Fault("html", page=2), "01010"),
        (Fault("html", tag="a", page=1), "10001"),
        (Fault("html", times=2), "11000"),
        (Fault("html", after=3), "00011"),
        (Fault("html", tag="a", times=1, after=1), "01000"),
    ],
)
def test_where_faults_strike(fault: Fault, expected: str) -> None:
    """Tag and page choose the requests; `after` and `times` count those that match, and no others."""
    with Sandbox([Campaign(tag, 5, SENT) for tag in "ab"], faults=[fault]) as sandbox:
        requests = [("a", 1), ("a", 2), ("b", 1), ("b", 2), ("a", 1)]
        bodies = [get(sandbox, f"{STATUSES}?apiKey=sandbox-key&tag={tag}&page={page}")[1] for tag, page in requests]
    assert expected == "".join(str(int(body.startswith(b"<!DOCTYPE"))) for body in bodies)


def test_faults_add_up_and_can_be_cleared() -> None:
    """Faults that strike one request all take effect; one in rows is not used up by `/v1/me`; clear ends all."""
    with Sandbox([PROMO]) as sandbox:
        sandbox.faults.add(Fault("short_page"), Fault("bad_status", times=1), Fault("server_error", times=1))
        assert get(sandbox, "/v1/me?apiKey=sandbox-key")[0] == 500
        page = ask(sandbox, "promo")
        assert (len(page["StatutResponse_List"]), page["StatutResponse_List"][0]["status"]) == (24, "Teleported")
        sandbox.faults.clear()
        assert len(ask(sandbox, "promo")["StatutResponse_List"]) == 25


NONE_OF = "is none of tag=TAG, page=N, times=N, after=N, seconds=SECONDS"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" html: ", Fault("html")),
        ("html:tag=promo-nov,page=2,times=1,after=1", Fault("html", "promo-nov", 2, 1, 1)),
        ("slow:seconds=0.5", Fault("slow", seconds=0.5)),
        ("html:tag=a:b=c%2Cd%25é", Fault("html", tag="a:b=c,d%é")),
        ("", "there is no fault ''"),
        ("servererror", "there is no fault 'servererror'"),
        ("html:pgae=2", f"'pgae=2' in the fault 'html:pgae=2' {NONE_OF}"),
        ("slow:5", f"'5' in the fault 'slow:5' {NONE_OF}"),
        ("html:page=two", f"'page=two' in the fault 'html:page=two' {NONE_OF}"),
        ("html:page=0", "page of a fault must be 1 or more, not 0"),
        ("html:times=0", "times of a fault must be 1 or more, not 0"),
        ("html:after=-1", "after of a fault must be 0 or more, not -1"),
        ("slow:seconds=nan", "seconds of a fault must be 0 or more, not nan"),
    ],
)
def test_parse_fault(text: str, expected: Fault | str) -> None:
    """Faults are written as on the command line, with any character in a tag; others are refused, saying why."""
    try:
        found: Fault | str = parse_fault(text)
        Sandbox([], faults=[parse_fault(text)])
    except ValueError as exc:
        found = str(exc)
    assert found == expected


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """The sandbox prints nothing, since URLs hold the key; not even about requests that are no HTTP."""
    with Sandbox() as sandbox:
        ask(sandbox, "documented")
        with socket.create_connection((urlsplit(sandbox.url).hostname, urlsplit(sandbox.url).port)) as client:
            client.sendall(b"GARBAGE apiKey=sandbox-key\r\n\r\n")
            client.recv(1000)
    assert tuple(capfd.readouterr()) == ("", "")


def test_stop_does_not_wait_for_connections() -> None:
    """Stopping ends every connection and thread, also those that a fault would hold for an hour."""
    before = set(threading.enumerate())
    asked = threading.Event()
    sandbox = Sandbox([PROMO], faults=[Fault("slow", seconds=3600)], clock=lambda: (asked.set(), SENT)[1])
    sandbox.start()
    address = (urlsplit(sandbox.url).hostname, urlsplit(sandbox.url).port)
    with socket.create_connection(address) as idle, socket.create_connection(address) as held:
        held.sendall(f"GET {STATUSES}?apiKey=sandbox-key&tag=promo HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert asked.wait(30)
        sandbox.stop()
        assert set(threading.enumerate()) <= before
        assert idle.recv(1) == b""


def test_life_cycle() -> None:
    """A sandbox has a URL while it runs, keeps connections, and serves the port asked for, unless it is taken."""
    sandbox = Sandbox([DOCUMENTED])
    with pytest.raises(RuntimeError, match="does not run"):
        _ = sandbox.url
    with sandbox:
        port = urlsplit(sandbox.url).port or 0
        connection = http.client.HTTPConnection(urlsplit(sandbox.url).netloc)
        for tag in ("documented", "unknown", "documented"):
            connection.request("GET", f"{STATUSES}?apiKey=sandbox-key&tag={tag}")
            response = connection.getresponse()
            response.read()
            assert not response.will_close
        connection.close()
        with pytest.raises(OSError, match="in use"):
            Sandbox([], port=port).start()
    with Sandbox([], port=port) as second:
        assert second.url == f"http://127.0.0.1:{port}/v1"
