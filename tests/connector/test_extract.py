"""Many tags side by side, against a real server on loopback that does what a test says."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import pytest
from smspartner.connection import Connection
from smspartner.errors import AccessRefused, Interrupted
from smspartner.extract import HELD_BYTES, extract
from smspartner.page import Page
from smspartner.paging_seen import PagingSeen
from smspartner.reading import Population, Progress
from smspartner.redaction import Secret

Answer = tuple[int, bytes]
Answers = Callable[[str, int], Answer]
SIZE = 10


def envelope(number: int, total: int, rows: Sequence[int]) -> Answer:
    """A page of delivered rows."""
    made = [
        {"phoneNumber": f"+336{row:08}", "status": "Delivered", "stopSMS": False, "date": str(1_517_989_111 + row)}
        for row in rows
    ]
    body = {"success": True, "code": 200, "currentPage": number, "total": total, "StatutResponse_List": made}
    return 200, json.dumps(body).encode()


def refusal(code: int) -> Answer:
    """An answer with the vendor's code."""
    return 400, json.dumps({"success": False, "code": code, "message": "non"}).encode()


def honest(rows: int = 25) -> Answers:
    """Every tag holds so many rows; `t7` holds 7."""

    def answer(tag: str, number: int) -> Answer:
        total = int(tag[1:]) if tag.startswith("t") else rows
        return envelope(number, total, range(total)[(number - 1) * SIZE : number * SIZE])

    return answer


class Server:
    """Answers by a function of tag and page; logs when each request arrived, and how many were under way at once."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.log: list[tuple[str, int, datetime]] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def asked(self) -> Counter[tuple[str, int]]:
        """How often each page was asked for."""
        return Counter((tag, number) for tag, number, _ in self.log)

    def connection(self, **options: Any) -> Connection:
        """How to reach it, with short pauses."""
        url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"
        quick: dict[str, Any] = {"retries": 2, "backoff": 0.001, "pass_pauses": (0.001,)}
        return Connection(api_key=Secret("k" * 20), base_url=url, **quick | options)

    def _handler(server) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler's
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                tag, number = query["tag"][0], int(query.get("page", ["1"])[0])
                with server._lock:
                    server.log.append((tag, number, datetime.now(UTC)))
                    server._at_once += 1
                    server.most_at_once = max(server.most_at_once, server._at_once)
                status, body = server.answers(tag, number)
                with server._lock:
                    server._at_once -= 1
                with suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


@pytest.fixture
def serve() -> Iterator[Callable[[Answers], Server]]:
    """Start servers; all stop when the test ends."""
    with ExitStack() as running:
        yield lambda answers: running.enter_context(Server(answers))


def read(server: Server, tags: Sequence[str], **options: Any) -> dict[str, Population]:
    """Read tags, and give what they came to."""
    named = {name: options.pop(name) for name in ("is_unchanged", "paging", "progress") if name in options}
    got = [one for one in extract(tags, server.connection(**options), threading.Event(), **named) if one is not None]
    assert len({one.tag for one in got}) == len(got)
    assert sum(one.requests for one in got) == len(server.log)
    return {one.tag: one for one in got}


def counts(one: Population) -> tuple[object, ...]:
    """The counts of a population."""
    facts = (one.rows_declared, one.rows_received, one.pages_read, one.requests, one.retries)
    return (one.verdict, *facts, [page.number for page in one.pages])


def threads() -> list[threading.Thread]:
    """The threads that read."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("smspartner-request")]


def once(event: threading.Event, then: Answer) -> Answer:
    """An answer that waits for an event."""
    assert event.wait(30)
    return then


def test_populations_and_counts(serve: Any) -> None:
    """Every tag is given once, with all pages in order and exact counts; each page is asked for once."""
    assert read(serve(honest()), []) == {}
    answers = honest()
    server = serve(lambda tag, number: refusal(4) if tag == "gone" else answers(tag, number))
    before = datetime.now(UTC)
    got = read(server, ["t25", "t0", "t1", "t10", "t99", "gone"])
    assert {tag: counts(one) for tag, one in got.items()} == {
        "t25": ("complete", 25, 25, 3, 3, 0, [1, 2, 3]),
        "t0": ("complete", 0, 0, 1, 1, 0, [1]),
        "t1": ("complete", 1, 1, 1, 1, 0, [1]),
        "t10": ("complete", 10, 10, 1, server.asked["t10", 2] + 1, 0, [1]),
        "t99": ("complete", 99, 99, 10, 10, 0, list(range(1, 11))),
        "gone": ("unknown", None, 0, 0, 1, 0, []),
    }
    assert set(server.asked.values()) == {1}
    for tag, one in got.items():
        arrived = next(when for asked, number, when in server.log if (asked, number) == (tag, 1))
        assert before <= one.asked_at == one.extracted_at <= arrived  # type: ignore[operator]
        assert one.seconds > 0


@pytest.mark.parametrize("concurrency", [1, 3])
def test_concurrency_is_a_limit(serve: Any, concurrency: int) -> None:
    """Never more requests are under way than allowed, over pages and tags together, and that many are used."""
    full = threading.Barrier(concurrency)
    answers = honest()

    def answer(tag: str, number: int) -> Answer:
        with suppress(threading.BrokenBarrierError):
            full.wait(5)
        return answers(tag, number)

    server = serve(answer)
    got = read(server, ["t60", "t5", "t61"], concurrency=concurrency)
    assert {one.verdict for one in got.values()} == {"complete"}
    assert server.most_at_once == concurrency


def test_failures_stay_with_their_tag(serve: Any) -> None:
    """Whatever goes wrong with one tag has a verdict with reason and counts, and touches no other tag."""
    answers, once_more = honest(), Counter[str]()

    def answer(tag: str, number: int) -> Answer:
        once_more[tag] += 1
        if tag == "down":
            return 500, b""
        if tag == "code" and number == 3:
            return refusal(90)
        if tag == "moving" and number == 2:
            return envelope(2, 26, range(10, 20))
        if tag == "short" and number == 3:
            return envelope(3, 25, [])
        if tag == "shaky" and once_more[tag] == 1:
            return 503, b"<html>"
        return answers(tag, number)

    server = serve(answer)
    got = read(server, ["down", "code", "moving", "short", "shaky", "fine"], concurrency=1, passes=2)
    assert {tag: counts(one)[:-1] for tag, one in got.items()} == {
        "down": ("failed", None, 0, 0, 3, 2),
        "code": ("failed", 25, 20, 2, 3, 0),
        "moving": ("unstable", 25, 20, 2, 4, 0),
        "short": ("incomplete", 25, 20, 3, 6, 0),
        "shaky": ("complete", 25, 25, 3, 4, 1),
        "fine": ("complete", 25, 25, 3, 3, 0),
    }
    assert got["down"].reason.startswith("page 1: HTTP 500")
    assert got["down"].reason.endswith(" (3 requests)")
    assert got["code"].reason.startswith("page 3: the API answered code 90")
    assert Counter(tag for tag, _, _ in server.log) == {tag: one.requests for tag, one in got.items()}


def test_times_are_those_of_requests(serve: Any) -> None:
    """`extracted_at` is when page 1 of the pass that counts was sent, `asked_at` when the first request was."""
    answers, asked = honest(), Counter[tuple[str, int]]()

    def answer(tag: str, number: int) -> Answer:
        asked[tag, number] += 1
        if tag == "moved" and asked[tag, number] == 1 and number == 2:
            return envelope(2, 26, range(10, 20))
        if tag == "retried" and asked[tag, number] == 1:
            return 503, b""
        return answers(tag, number)

    server = serve(answer)
    got = read(server, ["moved", "queued", "retried"], concurrency=1, pass_pauses=(0.05,))
    sent = {tag: [when for asked_tag, number, when in server.log if (asked_tag, number) == (tag, 1)] for tag in got}
    for tag, tries in {"moved": 2, "queued": 1, "retried": 2}.items():
        asked_at, extracted_at = got[tag].asked_at, got[tag].extracted_at
        assert asked_at is not None
        assert extracted_at is not None
        assert (len(sent[tag]), asked_at <= sent[tag][0], extracted_at <= sent[tag][-1]) == (tries, True, True)
        assert tries == 1 or extracted_at > sent[tag][0]
    assert (got["moved"].extracted_at - sent["moved"][0]).total_seconds() >= 0.05  # type: ignore[operator]
    assert got["moved"].seconds >= 0.05
    assert got["queued"].asked_at > sent["moved"][0]  # type: ignore[operator]


def test_a_slow_tag_holds_back_no_other(serve: Any) -> None:
    """Tags are handed on as they finish; while nothing comes there are ticks."""
    released, answers = threading.Event(), honest()
    server = serve(lambda tag, number: once(released, answers(tag, number)) if tag == "slow" else answers(tag, number))
    reading = extract(["slow", *(f"t{n}" for n in range(9))], server.connection(concurrency=2), threading.Event())
    assert {next(reading).tag for _ in range(9)} == {f"t{n}" for n in range(9)}  # type: ignore[union-attr]
    assert next(reading) is None
    released.set()
    assert [one.tag for one in reading if one is not None] == ["slow"]


def test_a_tag_between_two_passes_holds_back_no_other(serve: Any) -> None:
    """Others are read while a tag in doubt pauses, however large it is; leaving then ends the pause."""
    answers, large = honest(), 10**6
    doubt = {1: envelope(1, large, range(SIZE))}
    server = serve(lambda tag, number: doubt.get(number, refusal(4)) if tag == "doubt" else answers(tag, number))
    tags = ["doubt", *(f"t{n}" for n in range(30))]
    with closing(extract(tags, server.connection(concurrency=2, pass_pauses=(3600,)), threading.Event())) as reading:
        assert {next(reading).tag for _ in range(30)} == set(tags[1:])  # type: ignore[union-attr]
    assert threads() == []


def test_pages_of_an_ended_pass(serve: Any) -> None:
    """They are not asked for any more; those under way are counted, though nobody waits for them to begin anew."""
    asked, again, answers, passes = threading.Event(), threading.Event(), honest(), Counter[int]()

    def answer(tag: str, number: int) -> Answer:
        passes[number] += 1
        if passes[1] == 1 and number == 2:
            return once(asked, envelope(2, 1000, range(10, 20)))  # when page 3 is under way
        if passes[1] == 1 and number == 3:
            asked.set()
            return once(again, answers(tag, number))  # until the next pass has begun
        if number == 1 and passes[1] == 2:
            again.set()
        return answers(tag, number)

    server = serve(answer)
    (one,) = read(server, ["t999"], concurrency=2).values()
    assert (one.verdict, one.rows_received, one.pages_read, one.requests) == ("complete", 999, 100, len(server.log))
    assert (server.asked["t999", 1], server.asked["t999", 3]) == (2, 2)
    assert len(server.log) <= 100 + 5


def test_the_last_answers_of_a_tag_that_has_ended(serve: Any) -> None:
    """A tag is handed out with exact counts, when nothing of it is under way any more."""
    asked, released, answers = threading.Event(), threading.Event(), honest()

    def answer(tag: str, number: int) -> Answer:
        if number == 3:
            asked.set()
            return once(released, answers(tag, number))
        return once(asked, refusal(4)) if number == 2 else answers(tag, number)

    server = serve(answer)
    reading = extract(["t99"], server.connection(concurrency=2, passes=1), threading.Event())
    assert next(reading) is None
    released.set()
    (one,) = [one for one in reading if one is not None]
    assert (one.verdict, one.requests, len(server.log)) == ("unstable", 3, 3)


def test_pages_of_an_ended_pass_are_not_tried_again(serve: Any) -> None:
    """A page that waits for its next try when its pass ends is not sent any more."""
    failed, answers = threading.Event(), honest()

    def answer(tag: str, number: int) -> Answer:
        if number == 3:
            failed.set()
            return 503, b""
        return once(failed, refusal(4)) if number == 2 else answers(tag, number)

    server = serve(answer)
    (one,) = read(server, ["t99"], concurrency=2, passes=1, backoff=0.5, retries=5).values()
    assert (one.verdict, server.asked["t99", 3]) == ("unstable", 1)


def test_a_lying_total_ends_after_a_few_requests(serve: Any) -> None:
    """A server that repeats its one row for ever is found out at once."""
    server = serve(lambda _, number: envelope(number, 90_000, [1]))
    (one,) = read(server, ["t"], concurrency=4, passes=1).values()
    assert (one.verdict, one.rows_declared, one.pages) == ("incomplete", 90_000, ())
    assert len(server.log) <= 1 + 3 * 4


def test_settled_tags(serve: Any) -> None:
    """A settled tag whose first page is unchanged costs one request; any other is read, page 1 asked for once."""
    server = serve(honest())
    got = read(server, ["same", "changed"], is_unchanged=lambda tag, page: (tag, page.total) == ("same", 25))
    assert counts(got["same"]) == ("skipped", 25, 10, 1, 1, 0, [])
    assert got["same"].reason == "unchanged: total and first page are as loaded"
    assert got["changed"].verdict == "complete"
    assert set(server.asked.values()) == {1}


def test_what_a_run_sees_of_paging(serve: Any) -> None:
    """The caller's `paging` gathers it over all tags."""
    paging = PagingSeen()
    read(serve(lambda _tag, _number: envelope(1, 10, range(10))), ["a", "b"], paging=paging)
    assert (paging.looked, paging.unproved) == (True, True)
    read(serve(honest()), ["a"], paging=paging)
    assert not paging.unproved


class Recorded(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def start(self, tags: int) -> None:
        """Keep it."""
        self.calls.append(("start", tags))

    def page(self, tag: str, arrived: int, pages: int) -> None:
        """Keep it."""
        self.calls.append(("page", tag, arrived, pages))

    def tag(self, tag: str, verdict: str) -> None:
        """Keep it."""
        self.calls.append(("tag", tag, verdict))

    def stop(self) -> None:
        """Keep it."""
        self.calls.append(("stop",))


def test_progress(serve: Any) -> None:
    """Each page and each tag shows; a look behind the end is no page."""
    shown = Recorded()
    read(serve(honest()), ["t20", "t0"], progress=shown, concurrency=1)
    assert shown.calls[0] == ("start", 2)
    assert shown.calls[-1] == ("stop",)
    pages = [("page", "t20", 1, 2), ("page", "t20", 2, 2), ("page", "t20", 2, 2), ("page", "t0", 1, 1)]
    assert sorted(shown.calls[1:-1]) == sorted([*pages, ("tag", "t20", "complete"), ("tag", "t0", "complete")])


def test_access_refused(serve: Any) -> None:
    """A refused key ends the run; what was read completely before is handed out first, and nothing more is asked."""
    answers, refuse = honest(), threading.Event()

    def answer(tag: str, number: int) -> Answer:
        return (
            refusal(10)
            if tag == "refused"
            else once(refuse, answers(tag, number))
            if tag == "slow"
            else answers(tag, number)
        )

    server = serve(answer)
    tags = ["slow", "t1", "t2", "t3", "refused", *(f"t{n}" for n in range(4, 50))]
    got: list[str] = []
    with pytest.raises(AccessRefused) as caught:  # noqa: PT012
        for one in extract(tags, server.connection(concurrency=2), threading.Event()):
            got += [one.tag] if one is not None else []
    refuse.set()
    assert (caught.value.code, got) == (10, ["t1", "t2", "t3"])
    assert len(server.log) == 5


def test_stop_ends_the_run_within_moments(serve: Any) -> None:
    """Setting `stop` raises Interrupted while a request still hangs; what was read by then is given first."""
    released, answers, stop = threading.Event(), honest(), threading.Event()

    def answer(tag: str, number: int) -> Answer:
        if tag == "hangs":
            stop.set()
            return once(released, answers(tag, number))
        return answers(tag, number)

    server = serve(answer)
    got: list[str] = []
    with pytest.raises(Interrupted, match=r"^asked to stop;"):  # noqa: PT012
        for one in extract(["t1", "t2", "hangs", "t3"], server.connection(concurrency=1), stop):
            got += [one.tag] if one is not None else []
    assert (got, len(server.log)) == (["t1", "t2"], 3)
    released.set()
    for thread in threads():
        thread.join(30)


@pytest.mark.parametrize("answer", [(503, b""), envelope(1, 5, [])], ids=["backoff", "pause"])
def test_waits_end_with_the_reading(serve: Any, answer: Answer) -> None:
    """Whatever waits for a next try or a next pass, however long, ends as `stop` is set or the reading is left."""
    stop, answers = threading.Event(), honest()

    def first(tag: str, number: int) -> Answer:
        if tag == "stops":
            stop.set()
        return answers(tag, number) if tag == "t1" else answer

    server = serve(first)
    with closing(
        extract(["t1", "down"], server.connection(concurrency=1, backoff=60, pass_pauses=(3600,)), stop)
    ) as got:
        assert next(got) is not None
    assert (threads(), stop.is_set()) == ([], False)
    with pytest.raises(Interrupted):
        list(extract(["stops"], server.connection(backoff=60, pass_pauses=(3600,)), stop))
    assert (server.asked["stops", 1], threads()) == (1, [])


def test_stop_is_seen_while_the_caller_is_busy(serve: Any) -> None:
    """A request that is tried again and again is sent no more once `stop` is set, though nobody takes what was read."""
    server, stop, answers = (
        serve(lambda tag, number: (503, b"") if tag == "down" else answers(tag, number)),
        threading.Event(),
        honest(),
    )
    reading = extract(["t1", "down"], server.connection(concurrency=1, backoff=0.01, retries=100), stop)
    assert next(reading) is not None
    stop.set()
    for thread in threads():
        thread.join(30)
    assert (threads(), server.asked["down", 1] < 50) == ([], True)
    with pytest.raises(Interrupted):
        next(reading)


def test_leaving_early(serve: Any) -> None:
    """Whoever takes one population and leaves has ended all requests and threads, and did not stop the run."""
    server, stop = serve(honest()), threading.Event()
    with closing(extract([f"x{n}" for n in range(500)], server.connection(concurrency=2), stop)) as reading:
        next(reading)
    asked = len(server.log)
    assert (asked < 500, threads(), stop.is_set(), len(server.log)) == (True, [], False, asked)


def test_what_breaks_reaches_the_caller(serve: Any) -> None:
    """A bug in a request thread ends the run, and is raised as it is."""

    def is_unchanged(_tag: str, _page: Page) -> bool:
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        read(serve(honest()), ["a"], is_unchanged=is_unchanged)
    assert threads() == []


def test_memory_is_bounded(serve: Any) -> None:
    """While nobody takes what was read, no more tags are begun than the budget holds; then all are."""
    padding = "x" * (HELD_BYTES // 8)
    body = {"success": True, "code": 200, "currentPage": 1, "total": 1, "StatutResponse_List": [{"padding": padding}]}
    answer = 200, json.dumps(body).encode()
    server = serve(lambda _tag, _number: answer)
    reading = extract([f"x{n}" for n in range(40)], server.connection(concurrency=2), threading.Event())
    assert next(reading) is not None
    while len(server.log) < 8:
        threading.Event().wait(0.01)
    assert not threading.Event().wait(0.3)
    assert len(server.log) <= 8 + 2 + 1  # the budget, what was begun before it was full, and what was taken
    assert sum(one is not None for one in reading) == 39
    assert len(server.log) == 40
