"""Many tags side by side, against a real server on loopback that does what a test says."""

import json
import threading
from collections import Counter
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from unittest.mock import Mock, call
from urllib.parse import parse_qs, urlsplit

import pytest
from faults import HostileServer
from smspartner import errors
from smspartner.connection import Connection, Rate
from smspartner.extract import HELD_BYTES, extract
from smspartner.paging_seen import PagingSeen
from smspartner.reading import Progress
from smspartner.redaction import Secret
from smspartner_pipelines.sandbox.answers import Answer

SIZE = 10


def envelope(number, total, rows, **odd):
    """Make a page of delivered rows, or of an odd one."""
    made = [
        {"phoneNumber": f"+336{row:08}", "status": "Delivered", "stopSMS": False, "date": str(1_517_989_111 + row)}
        for row in rows
    ] or [odd] * bool(odd)
    body = {"success": True, "code": 200, "currentPage": number, "total": total, "StatutResponse_List": made}
    return Answer(json.dumps(body).encode())


def refusal(code):
    """Make an answer with the vendor's code."""
    return Answer(json.dumps({"success": False, "code": code, "message": "non"}).encode(), 400)


DOWN = Answer(b"", 503)


def honest(tag, number):
    """Answer for a tag of 25 rows; `t7` holds 7."""
    total = int(tag[1:]) if tag.startswith("t") else 25
    return envelope(number, total, range(total)[(number - 1) * SIZE : number * SIZE])


def once(event, then):
    """Wait for an event, and give this answer."""
    assert event.wait(30)
    return then


class Server(HostileServer):
    """Answers honestly but for some pages of tags, and logs when each request arrived.

    What stands in the place of a page is an answer, a function that gives one, or a list of answers, for one request
    each; None is honest.
    """

    def __init__(self, instead):
        super().__init__([])
        self.instead = instead
        self.log = []

    def respond(self, target):
        """Log a request, and answer it."""
        query = parse_qs(urlsplit(target).query)
        tag, number = query["tag"][0], int(query.get("page", ["1"])[0])
        self.log.append((tag, number, datetime.now(UTC)))
        answer = self.instead.get((tag, number))
        if isinstance(answer, list):
            answer = answer.pop(0) if answer else None
        if callable(answer):
            answer = answer()
        return answer or honest(tag, number), []

    @property
    def asked(self):
        """How often each page was asked for."""
        return Counter((tag, number) for tag, number, _ in self.log)

    def connection(self, **options):
        """How to reach it, with short pauses."""
        quick = {"retries": 2, "backoff": 0.001, "pass_pauses": (0.001,)}
        return Connection(api_key=Secret("k" * 20), base_url=self.url, **quick | options)


@pytest.fixture
def serve():
    """Start servers; all stop when the test ends."""
    with ExitStack() as running:
        yield lambda instead=(): running.enter_context(Server(dict(instead)))


def read(server, tags, **options):
    """Read tags, and give what they came to."""
    named = {name: options.pop(name) for name in ("is_unchanged", "paging", "progress") if name in options}
    got = [one for one in extract(tags, server.connection(**options), threading.Event(), **named) if one is not None]
    assert len({one.tag for one in got}) == len(got)
    assert sum(one.requests for one in got) == len(server.log)
    return {one.tag: one for one in got}


def take(reading, number):
    """Give the tags of the next populations, whatever ticks come between, but for half a minute of them."""
    tags, ticks = set(), 0
    for one in reading:
        if one is None:
            ticks += 1
        else:
            tags.add(one.tag)
            ticks = 0
        if len(tags) == number or ticks == 30:
            break
    return tags


def given(reading, got):
    """Add the tags that come to a list, until something ends them."""
    for one in reading:
        got += [one.tag] if one is not None else []


def facts(one):
    """What a population counts."""
    counts = (one.rows_declared, one.rows_received, one.pages_read, one.requests, one.retries)
    return (one.verdict, *counts, [page.number for page in one.pages])


def threads_end():
    """Whether all threads that read come to their end."""
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("smspartner-request")]
    for thread in threads:
        thread.join(30)
    return not any(thread.is_alive() for thread in threads)


def test_populations_and_counts(serve):
    """Every tag is given once, with all pages in order and exact counts; each page is asked for once."""
    assert read(serve(), []) == {}
    server = serve({("gone", 1): refusal(4)})
    before = datetime.now(UTC)
    got = read(server, ["t25", "t0", "t1", "t10", "t99", "gone"])
    assert {tag: facts(one) for tag, one in got.items()} == {
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
        assert before <= one.asked_at == one.extracted_at <= arrived
        assert one.seconds > 0


@pytest.mark.parametrize("concurrency", [1, 3])
def test_concurrency_is_a_limit(serve, concurrency):
    """Never more requests are under way than allowed, over pages and tags together, and that many are used."""
    full = threading.Barrier(concurrency)

    def wait():
        with suppress(threading.BrokenBarrierError):
            full.wait(30)

    tags = {"t61": 7, "t5": 1, "t62": 7}
    server = serve({(tag, number): wait for tag, pages in tags.items() for number in range(1, pages + 1)})
    assert {one.verdict for one in read(server, list(tags), concurrency=concurrency).values()} == {"complete"}
    assert server.peak_in_flight == concurrency


def test_the_rate_is_one_for_all_workers(serve):
    """However many requests may be under way, all of them together keep to the rate."""
    server = serve()
    connection = server.connection(rate=Rate(3, 3600), concurrency=8)
    with closing(extract(["t1", "t2", "t3", "t4", "t5", "t6"], connection, threading.Event())) as reading:
        assert len(take(reading, 3)) == 3
        assert [next(reading), next(reading)] == [None, None]  # a second each, in which the others wait
    assert len(server.log) == 3


def test_failures_stay_with_their_tag(serve):
    """Whatever goes wrong with one tag has a verdict with reason and counts, and touches no other tag."""
    moved = envelope(2, 26, range(10, 20))
    faults = {("down", 1): DOWN, ("code", 3): refusal(90), ("moving", 2): moved, ("short", 3): envelope(3, 25, [])}
    server = serve({**faults, ("shaky", 1): [DOWN]})
    got = read(server, ["down", "code", "moving", "short", "shaky", "fine"], concurrency=1, passes=2)
    assert {tag: facts(one)[:-1] for tag, one in got.items()} == {
        "down": ("failed", None, 0, 0, 3, 2),
        "code": ("failed", 25, 20, 2, 3, 0),
        "moving": ("unstable", 25, 20, 2, 4, 0),
        "short": ("incomplete", 25, 20, 3, 6, 0),
        "shaky": ("complete", 25, 25, 3, 4, 1),
        "fine": ("complete", 25, 25, 3, 3, 0),
    }
    assert got["down"].reason.startswith("page 1: HTTP 503")
    assert got["down"].reason.endswith(" (3 requests)")
    assert got["code"].reason.startswith("page 3: the API answered code 90")
    assert Counter(tag for tag, _, _ in server.log) == {tag: one.requests for tag, one in got.items()}


def test_times_are_those_of_requests(serve):
    """`extracted_at` is when page 1 of the pass that counts was sent, `asked_at` when the first request was."""
    server = serve({("moved", 2): [envelope(2, 26, range(10, 20))], ("retried", 1): [DOWN]})
    got = read(server, ["moved", "queued", "retried"], concurrency=1, pass_pauses=(0.05,))
    sent = {tag: [when for asked_tag, number, when in server.log if (asked_tag, number) == (tag, 1)] for tag in got}
    for tag, tries in {"moved": 2, "queued": 1, "retried": 2}.items():
        asked_at, extracted_at = got[tag].asked_at, got[tag].extracted_at
        assert (len(sent[tag]), asked_at <= sent[tag][0], extracted_at <= sent[tag][-1]) == (tries, True, True)
        assert tries == 1 or extracted_at > sent[tag][0]
    assert got["moved"].seconds >= 0.05  # the pause is a part of it
    assert got["queued"].asked_at > sent["moved"][0]


def test_a_slow_tag_holds_back_no_other(serve):
    """Tags are handed on as they finish; while nothing comes there are ticks."""
    released = threading.Event()
    server = serve({("slow", 1): lambda: once(released, None)})
    reading = extract(["slow", *(f"t{n}" for n in range(9))], server.connection(concurrency=2), threading.Event())
    assert take(reading, 9) == {f"t{n}" for n in range(9)}
    assert next(reading) is None
    released.set()
    assert take(reading, 2) == {"slow"}


def test_a_tag_between_two_passes_holds_back_no_other(serve):
    """Others are read while a tag in doubt pauses, however large it is; leaving then ends the pause."""
    server = serve({("doubt", 1): envelope(1, 10**6, range(SIZE)), ("doubt", 2): refusal(4), ("doubt", 3): refusal(4)})
    tags = ["doubt", *(f"t{n}" for n in range(30))]
    with closing(extract(tags, server.connection(concurrency=2, pass_pauses=(3600,)), threading.Event())) as reading:
        assert take(reading, 30) == set(tags[1:])
    assert threads_end()


def test_pages_of_an_ended_pass(serve):
    """They are not asked for any more; those under way are counted, though nobody waits for them to begin anew."""
    asked, again = threading.Event(), threading.Event()

    def third():
        asked.set()
        again.wait(30)  # until the next pass has begun

    moved = envelope(2, 1000, range(10, 20))
    pages = {2: [lambda: once(asked, moved)], 3: [third], 1: [None, again.set]}
    server = serve({("t999", number): answers for number, answers in pages.items()})
    (one,) = read(server, ["t999"], concurrency=2).values()
    assert (one.verdict, one.rows_received, one.pages_read, one.requests) == ("complete", 999, 100, len(server.log))
    assert (server.asked["t999", 1], server.asked["t999", 3]) == (2, 2)
    assert len(server.log) <= 100 + 5


@pytest.mark.parametrize("third", ["slow", "down"])
def test_the_last_answers_of_a_tag_that_has_ended(serve, third):
    """A tag is given with exact counts when nothing of it is under way any more; nothing of it is tried again."""
    asked, released = threading.Event(), threading.Event()

    def answer():
        asked.set()
        return once(released, None) if third == "slow" else DOWN

    server = serve({("t99", 2): lambda: once(asked, refusal(4)), ("t99", 3): answer})
    how = server.connection(concurrency=2, passes=1, backoff=4, retries=5)
    reading = extract(["t99"], how, threading.Event())
    if third == "slow":
        assert next(reading) is None
    released.set()
    (one,) = [one for one in reading if one is not None]
    assert (one.verdict, one.requests, len(server.log)) == ("unstable", 3, 3)


def test_settled_tags(serve):
    """A settled tag whose first page is unchanged costs one request; any other is read, page 1 asked for once."""
    server = serve()
    got = read(server, ["same", "changed"], is_unchanged=lambda tag, page: (tag, page.total) == ("same", 25))
    assert facts(got["same"]) == ("skipped", 25, 10, 1, 1, 0, [])
    assert got["same"].reason == "unchanged: total and first page are as loaded"
    assert got["changed"].verdict == "complete"
    assert set(server.asked.values()) == {1}


def test_what_a_run_sees(serve):
    """The caller's `paging` gathers what is seen over all tags; each page and tag shows, a look behind the end not."""
    paging, shown = PagingSeen(), Mock(Progress)
    read(serve(), ["t10", "t0"], progress=shown, paging=paging, concurrency=1)
    first, *between, last = shown.mock_calls
    assert (first, last) == (call.start(2), call.stop())
    pages = [call.page("t10", 1, 1), call.page("t10", 1, 1), call.page("t0", 1, 1)]
    assert sorted(between) == sorted([*pages, call.tag("t10", "complete"), call.tag("t0", "complete")])
    assert (paging.looked, paging.unproved) == (True, True)
    read(serve(), ["t20"], paging=paging)
    assert not paging.unproved


def test_access_refused(serve):
    """A refused key ends the run; what was read completely before is handed out first, and nothing more is asked."""
    released, got = threading.Event(), []
    server = serve({("refused", 1): refusal(10), ("slow", 1): lambda: once(released, None)})
    tags = ["slow", "t1", "t2", "t3", "refused", *(f"t{n}" for n in range(4, 50))]
    with pytest.raises(errors.AccessRefused) as caught:
        given(extract(tags, server.connection(concurrency=2), threading.Event()), got)
    released.set()
    assert (caught.value.code, got, len(server.log)) == (10, ["t1", "t2", "t3"], 5)


def test_stop_ends_the_run_within_moments(serve):
    """Setting `stop` interrupts while a request still hangs; what was read by then is given first."""
    released, stop, got = threading.Event(), threading.Event(), []

    def hang():
        stop.set()
        return once(released, None)

    server = serve({("hangs", 1): hang})
    with pytest.raises(errors.Interrupted, match=r"^asked to stop;"):
        given(extract(["t1", "t2", "hangs", "t3"], server.connection(concurrency=1), stop), got)
    assert (got, len(server.log)) == (["t1", "t2"], 3)
    released.set()
    assert threads_end()


@pytest.mark.parametrize("answer", [DOWN, envelope(1, 5, [])], ids=["backoff", "pause"])
def test_waits_end_with_the_reading(serve, answer):
    """Whatever waits for a next try or a next pass, however long, ends as `stop` is set or the reading is left."""
    stop = threading.Event()
    server = serve({("down", 1): answer, ("stops", 1): lambda: stop.set() or answer})
    how = server.connection(concurrency=1, backoff=60, pass_pauses=(3600,))
    with closing(extract(["t1", "down"], how, stop)) as got:
        assert take(got, 1) == {"t1"}
    assert (threads_end(), stop.is_set()) == (True, False)
    with pytest.raises(errors.Interrupted):
        list(extract(["stops"], how, stop))
    assert (server.asked["stops", 1], threads_end()) == (1, True)


def test_stop_is_seen_while_the_caller_is_busy(serve):
    """A request that is tried again and again is sent no more once `stop` is set, though nobody takes what was read."""
    server, stop = serve({("down", 1): DOWN}), threading.Event()
    reading = extract(["t1", "down"], server.connection(concurrency=1, backoff=0.01, retries=100), stop)
    assert take(reading, 1) == {"t1"}
    stop.set()
    assert (threads_end(), server.asked["down", 1] < 50) == (True, True)
    with pytest.raises(errors.Interrupted):
        take(reading, 1)


def test_leaving_early(serve):
    """Whoever takes one population and leaves has ended all requests and threads, and did not stop the run."""
    server, stop = serve(), threading.Event()
    with closing(extract([f"x{n}" for n in range(500)], server.connection(concurrency=2), stop)) as reading:
        take(reading, 1)
    assert (threads_end(), stop.is_set(), len(server.log) < 500) == (True, False, True)


def test_what_breaks_reaches_the_caller(serve):
    """A bug in a request thread ends the run, and is raised as it is."""
    with pytest.raises(ZeroDivisionError):
        read(serve(), ["a"], is_unchanged=lambda _tag, page: page.total / 0)
    assert threads_end()


def test_memory_is_bounded(serve):
    """While nobody takes what was read, no more tags are begun than the budget holds; then all are."""
    tags = [f"x{n}" for n in range(40)]
    large = envelope(1, 1, [], padding="x" * (HELD_BYTES // 8))
    server = serve({(tag, 1): large for tag in tags})
    reading = extract(tags, server.connection(concurrency=2), threading.Event())
    assert len(take(reading, 1)) == 1
    while len(server.log) < 8:
        threading.Event().wait(0.01)
    assert not threading.Event().wait(0.3)  # in which a fault would show
    assert len(server.log) <= 8 + 2 + 1  # the budget, what was begun before it was full, and what was taken
    assert len(take(reading, 40)) == 39
    assert len(server.log) == 40
