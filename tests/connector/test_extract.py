"""Many tags side by side, against the real sandbox."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from smspartner.client import Client
from smspartner.errors import AccessRefused, CountMismatch, Interrupted
from smspartner.extract import HELD_BYTES, extract
from smspartner.walker import Population
from smspartner_pipelines.sandbox import Campaign, Fault


def campaigns(*rows: int) -> list[Campaign]:
    """Campaigns `t0`, `t1`, … of so many final rows."""
    return [Campaign(f"t{place}", count, sent_at=1_500_000_000, seed=place) for place, count in enumerate(rows)]


@pytest.fixture
def read(connect: Any) -> Any:
    """Read tags of a sandbox, with options of the connection; give the populations."""

    def read_all(sandbox: Any, tags: Any, watch: Any = None, **options: Any) -> list[Population]:
        connection = connect(sandbox, **options)
        client = Client(connection)
        try:
            return list(one_by_one(tags, client, connection, threading.Event(), watch))
        finally:
            client.close()

    return read_all


def one_by_one(
    tags: Any, client: Client, connection: Any, stop: threading.Event, watch: Any = None
) -> Generator[Population]:
    """Populations as they are, one by one."""
    with closing(extract(tags, client, connection, stop, list, watch)) as groups:
        for group in groups:
            yield from group


def facts(population: Population) -> tuple[object, ...]:
    """The counts of a population."""
    return (
        *(population.tag, population.verdict, population.rows_declared, population.rows_received),
        *(population.pages_read, population.requests, population.retries, len(population.pages)),
    )


def settle() -> None:
    """Wait until no thread of a run is left."""
    for thread in threading.enumerate():
        if thread.name.startswith("smspartner-"):
            thread.join(30)


def test_order_and_counts(start_sandbox: Any, read: Any) -> None:
    """Populations come in the order of the tags, each with all of its pages in order, and exact counts."""
    sandbox = start_sandbox(campaigns(25, 0, 1, 10, 11, 99), page_size=10)
    tags = ["t5", "t1", "gone", "t0", "t4", "t3", "t2"]
    before = datetime.now(UTC)
    populations = read(sandbox, tags)
    assert list(map(facts, populations)) == [
        ("t5", "complete", 99, 99, 10, 10, 0, 10),
        ("t1", "complete", 0, 0, 1, 1, 0, 1),
        ("gone", "unknown", None, 0, 0, 1, 0, 0),
        ("t0", "complete", 25, 25, 3, 3, 0, 3),
        ("t4", "complete", 11, 11, 2, 2, 0, 2),
        ("t3", "complete", 10, 10, 1, 1, 0, 1),
        ("t2", "complete", 1, 1, 1, 1, 0, 1),
    ]
    assert list(range(1, 11)) == [page.number for page in populations[0].pages]
    assert [population.reason for population in populations[:3]] == [
        "all 99 rows on 10 pages",
        "all 0 rows on 1 page",
        'the API answered code 4 (message not found), "Message introuvable"',
    ]
    assert all(before <= population.extracted_at <= datetime.now(UTC) for population in populations)
    asked = Counter((record.tag, record.page) for record in sandbox.requests)
    assert (19, {1}) == (len(asked), set(asked.values()))


@pytest.mark.parametrize("concurrency", [1, 3])
def test_concurrency_is_a_limit(start_sandbox: Any, read: Any, concurrency: int) -> None:
    """Never more requests are under way than allowed, over pages and tags together, and that many are used."""
    sandbox = start_sandbox(campaigns(60, 60, 5, 5, 5), page_size=10, latency=0.01)
    populations = read(sandbox, [f"t{place}" for place in range(5)], concurrency=concurrency)
    assert {"complete"} == {population.verdict for population in populations}
    assert sandbox.peak_in_flight == concurrency


def test_failures_stay_with_their_tag(start_sandbox: Any, read: Any) -> None:
    """Whatever goes wrong with one tag has a verdict with reason and counts, and touches no other tag."""
    faults = [
        Fault("server_error", tag="t1"),
        Fault("cut_json", tag="t2", page=2),
        Fault("ignored_page", tag="t3"),
        Fault("total_grows", tag="t4"),
        Fault("vendor_error_999", tag="t5", page=3),
        Fault("reset", tag="t6", times=1),
        Fault("html", tag="t7", page=2, times=2),
        Fault("vendor_error_4", tag="t8", page=2),
    ]
    sandbox = start_sandbox(campaigns(*[25] * 10), page_size=10, faults=faults)
    populations = read(sandbox, [f"t{place}" for place in range(10)], concurrency=1, retries=2)
    found = {population.tag: facts(population)[1:] for population in populations}
    assert {tag: found[tag] for tag in ("t0", "t1", "t6", "t7", "t9")} == {
        "t0": ("complete", 25, 25, 3, 3, 0, 3),
        "t1": ("failed", None, 0, 0, 3, 2, 0),
        "t6": ("complete", 25, 25, 3, 4, 1, 3),
        "t7": ("complete", 25, 25, 3, 5, 2, 3),
        "t9": ("complete", 25, 25, 3, 3, 0, 3),
    }
    assert [found[f"t{n}"][0] for n in (2, 3, 4, 5, 8)] == ["failed", "incomplete", "unstable", "failed", "unstable"]
    reasons = {population.tag: population.reason for population in populations}
    assert {tag: reasons[tag] for tag in ("t1", "t3", "t5")} == {
        "t1": "page 1: HTTP 500 without an answer that can be read (3 requests)",
        "t3": "asked for page 2, the API answered with page 1",
        "t5": 'page 3: the API answered code 999 (not documented), "Erreur inconnue" (1 request)',
    }
    asked = Counter(record.tag for record in sandbox.requests)
    assert {population.tag: population.requests for population in populations} == dict(asked)


def test_a_moving_population_is_read_again(start_sandbox: Any, read: Any) -> None:
    """A population that moves once is read again: counts of rows and pages are the last pass's, requests all."""
    sandbox = start_sandbox(campaigns(25), page_size=10, faults=[Fault("total_grows", page=2, times=1)])
    (population,) = read(sandbox, ["t0"], concurrency=1)
    assert (*facts(population)[1:5], len(population.pages)) == ("complete", 25, 25, 3, 3)
    asked = Counter(record.page for record in sandbox.requests)
    assert (2, 2, len(sandbox.requests)) == (asked[None], asked["2"], population.requests)


def test_verify_reads_twice(start_sandbox: Any, read: Any) -> None:
    """With `verify`, a population that holds still takes two passes, and its counts are one pass's."""
    sandbox = start_sandbox(campaigns(25), page_size=10)
    assert list(map(facts, read(sandbox, ["t0"], verify=True))) == [("t0", "complete", 25, 25, 3, 6, 0, 3)]


@pytest.mark.parametrize("total", [10**6, 10**12, 10**15 - 1])
def test_a_lying_total(start_raw: Any, connect: Any, read: Any, total: int) -> None:
    """A total beyond reason is found out at the first page that is not there, after a few requests."""
    requests: list[bytes] = []

    def serve(connection: Any, _number: int) -> None:
        while chunk := connection.recv(65536):
            requests.append(chunk)
            target = chunk.split(b" ")[1]
            page = target.rpartition(b"page=")[2] if b"page=" in target else b"1"
            rows = b'{"phoneNumber": "+33612345678", "status": "Waiting"}' if page == b"1" else b""
            body = b'{"success": true, "code": 200, "currentPage": %b, "total": %d, "StatutResponse_List": [%b]}'
            body %= (page, total, rows)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    (population,) = read(start_raw(serve), ["t"], concurrency=4)
    assert ("incomplete", total, ()) == (population.verdict, population.rows_declared, population.pages)
    assert f" of {total} holds 0 rows instead of 1" in population.reason
    assert len(requests) <= 1 + 2 * 4


def test_totals_beyond_reason(start_raw: Any, answer_with: Any, read: Any) -> None:
    """A total that no machine counts to is no total: the tag fails, the run goes on."""
    body = b'{"success": true, "code": 200, "currentPage": 1, "total": 1%b, "StatutResponse_List": [{}]}' % (b"0" * 40)
    populations = read(start_raw(answer_with(body=body)), ["t", "u"], retries=0)
    reason = "page 1: the body's `total` is missing or no whole number (1 request)"
    assert [("failed", reason)] * 2 == [(population.verdict, population.reason) for population in populations]


def test_access_refused_ends_the_run(start_sandbox: Any, read: Any) -> None:
    """A refused key ends the run at once, without retries, and with no more requests than were under way or next."""
    sandbox = start_sandbox(campaigns(*[5] * 50), faults=[Fault("vendor_error_10")])
    with pytest.raises(AccessRefused) as caught:
        read(sandbox, [f"t{place}" for place in range(50)], concurrency=4)
    settle()
    assert caught.value.code == 10
    assert len(sandbox.requests) <= 8


def test_access_refused_stops_what_waits_for_a_worker(start_sandbox: Any, read: Any) -> None:
    """While a slow request is under way, a refusal ends the run; what waited behind it is never sent."""
    sandbox = start_sandbox(
        campaigns(*[5] * 20),
        faults=[Fault("vendor_error_20", tag="t0"), *(Fault("slow", tag=f"t{n}", seconds=0.3) for n in range(1, 20))],
    )
    with pytest.raises(AccessRefused):
        read(sandbox, [f"t{place}" for place in range(20)], concurrency=2)
    settle()
    assert {record.tag for record in sandbox.requests} <= {"t0", "t1", "t2"}


def test_stop_ends_the_run(start_sandbox: Any, connect: Any) -> None:
    """Setting `stop` ends the run with the next answer; what was read before is given."""
    sandbox = start_sandbox(campaigns(*[5] * 50))
    connection, stop = connect(sandbox, concurrency=2), threading.Event()
    client = Client(connection)
    populations = one_by_one([f"t{place}" for place in range(50)], client, connection, stop)
    assert next(populations).tag == "t0"
    stop.set()
    got = []
    with pytest.raises(Interrupted, match=r"^asked to stop;"):  # noqa: PT012
        got.extend(populations)
        raise Interrupted("asked to stop")  # everything had been read before the stop was seen
    settle()
    client.close()
    asked = len(sandbox.requests)
    assert asked <= 50
    assert len(sandbox.requests) == asked


def test_stop_during_a_backoff(start_sandbox: Any, connect: Any) -> None:
    """Setting `stop` wakes requests that wait for their next try, however long they would."""
    sandbox = start_sandbox(campaigns(5), faults=[Fault("server_error")])
    connection, stop = connect(sandbox, backoff=3600, retries=1), threading.Event()
    client = Client(connection)
    ended: list[BaseException] = []

    def consume() -> None:
        try:
            list(one_by_one(["t0"], client, connection, stop))
        except Interrupted as exc:
            ended.append(exc)

    consumer = threading.Thread(target=consume)
    consumer.start()
    while not sandbox.requests:
        threading.Event().wait(0.001)
    stop.set()
    consumer.join(30)
    settle()
    client.close()
    assert [type(exc) for exc in ended] == [Interrupted]
    assert len(sandbox.requests) == 1


def test_leaving_early_ends_requests(start_sandbox: Any, connect: Any) -> None:
    """Whoever takes one population and leaves has ended the run: all threads end, nothing more is asked."""
    sandbox = start_sandbox(campaigns(*[5] * 200), latency=0.002)
    connection = connect(sandbox, concurrency=2)
    client = Client(connection)
    populations = one_by_one([f"t{place}" for place in range(200)], client, connection, threading.Event())
    assert next(populations).tag == "t0"
    populations.close()
    settle()
    asked = len(sandbox.requests)
    client.close()
    assert asked < 200
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("smspartner-")]


def test_memory_is_bounded(start_sandbox: Any, connect: Any) -> None:
    """While nobody takes what was read, no more is asked for than the budget holds."""
    size = HELD_BYTES // 8
    rows = ['{"phoneNumber": "+33612345678", "status": "Waiting", "padding": "' + "x" * size + '"}']
    tags = [f"t{place}" for place in range(40)]
    sandbox = start_sandbox([Campaign.of_rows(tag, rows) for tag in tags])
    concurrency = 2
    most = 8 + 2 * concurrency  # the budget, and what was sent for before it was full
    arrived, taken, beyond = Counter[str](), Counter[str](), threading.Event()

    def watch(_tag: str, _arrived: int, _pages: int) -> None:
        arrived["tags"] += 1
        if arrived["tags"] - taken["tags"] > most:
            beyond.set()

    connection = connect(sandbox, concurrency=concurrency)
    client = Client(connection)
    groups = extract(tags, client, connection, threading.Event(), list, watch)
    taken["tags"] = len(next(groups))
    while len(sandbox.requests) < 8:
        threading.Event().wait(0.001)
    assert not beyond.wait(0.2)
    assert len(sandbox.requests) <= taken["tags"] + most
    for populations in groups:
        taken["tags"] += len(populations)
        assert {"complete"} == {population.verdict for population in populations}
    client.close()
    assert (taken["tags"], len(sandbox.requests), beyond.is_set()) == (40, 40, False)


def test_made_in_order_beside_the_reading(start_sandbox: Any, connect: Any) -> None:
    """What is made of populations comes in the order of the tags, made by one thread that is not the caller's."""
    sandbox = start_sandbox(campaigns(*[5] * 60), latency=0.002)
    connection = connect(sandbox, concurrency=8)
    client = Client(connection)
    makers = set()

    def make(populations: list[Population]) -> Iterator[str]:
        makers.add(threading.current_thread().name)
        return (population.tag.upper() for population in populations)

    tags = [f"t{place}" for place in range(60)]
    groups = list(extract(tags, client, connection, threading.Event(), make))
    client.close()
    assert [tag.upper() for tag in tags] == [tag for group in groups for tag in group]
    assert (makers, all(groups)) == ({"smspartner-make"}, True)


def test_what_making_raises_reaches_the_caller(start_sandbox: Any, connect: Any) -> None:
    """A failure to make something of populations ends the run; what was made before is given."""
    sandbox = start_sandbox(campaigns(*[5] * 30))
    connection = connect(sandbox, concurrency=1)
    client = Client(connection)

    def make(populations: list[Population]) -> list[str]:
        if "t7" in {population.tag for population in populations}:
            raise CountMismatch("a row is lost")
        return [population.tag for population in populations]

    given: list[str] = []
    with pytest.raises(CountMismatch, match=r"^a row is lost$"):  # noqa: PT012
        for group in extract([f"t{place}" for place in range(30)], client, connection, threading.Event(), make):
            given += group
    settle()
    client.close()
    assert given == [f"t{place}" for place in range(len(given))]
    assert len(given) <= 7


def test_watch(start_sandbox: Any, read: Any) -> None:
    """Each page that arrives is told, with how many the tag has as far as known."""
    sandbox = start_sandbox(campaigns(25, 0), page_size=10)
    told: list[tuple[str, int, int]] = []
    read(sandbox, ["t0", "t1"], lambda *fact: told.append(fact), concurrency=1)
    assert sorted(told) == [("t0", 1, 3), ("t0", 2, 3), ("t0", 3, 3), ("t1", 1, 1)]


def test_no_tags(start_sandbox: Any, read: Any) -> None:
    """No tags take no requests."""
    sandbox = start_sandbox([])
    assert (read(sandbox, []), sandbox.requests) == ([], [])


def test_rate_is_a_budget(start_sandbox: Any, read: Any) -> None:
    """With a rate, everything is still read, by the one pace of all workers."""
    sandbox = start_sandbox(campaigns(25, 25), page_size=10)
    assert [population.verdict for population in read(sandbox, ["t0", "t1"], rate=500.0)] == ["complete"] * 2
