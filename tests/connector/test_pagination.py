"""The proof of completeness, fed from lists: no HTTP, no threads."""
# ruff: noqa: E501 - a case a line, and what it expects

import json
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smspartner import errors
from smspartner.page import Page
from smspartner.pagination import MOST_PAGES, Unread, walk_pages
from smspartner.paging_seen import USUAL_PAGE_SIZES, PagingSeen
from smspartner.raw_json import read_list

Server = Callable[[int], Page | errors.RequestError]
GONE = errors.UnknownTag("the API answered code 4", code=4, http_status=200)
SENT = 1_517_989_111


def dated(number, second=None):
    """A delivered row of the n-th number."""
    date = str(SENT + (number if second is None else second))
    return {"phoneNumber": f"+336{number:08}", "status": "Delivered", "stopSMS": False, "date": date}


def undated(number, status="Not delivered"):
    """A row of the n-th number without a date."""
    return {"phoneNumber": f"+336{number:08}", "status": status, "stopSMS": False, "date": ""}


def page(number, total, rows):
    """A page of these rows; a number stands for its delivered row."""
    values = [dated(row) if isinstance(row, int) else row for row in rows]
    return Page(number, total, *read_list(json.dumps(values).encode()))


def serve(rows, size, *, total=None):
    """A server that holds these rows, is honest, and answers an empty page behind the end."""
    return lambda number: page(number, len(rows) if total is None else total, rows[(number - 1) * size : number * size])


def but(server, **answers):
    """The same server, with other answers to some pages: `p3=…` is the answer to page 3, or a function of nothing."""

    def answer(number):
        other = answers.get(f"p{number}")
        return server(number) if other is None else other() if callable(other) else other

    return answer


class Run:
    """Feeds walks from a server, as a run would; keeps what was asked for, and the pauses."""

    def __init__(self, server, *, shuffled=False):
        self.server = server
        self.asked = []
        self.pauses = []
        self.seen = PagingSeen()
        self._shuffled = shuffled

    def read(self, tag="t", **options):
        """Read one tag."""
        walk = walk_pages(tag, self.seen, **options)
        try:
            ask = next(walk)
            while True:
                assert ask is not None
                self.pauses += [ask.pause] if ask.pause else []
                numbers = random.Random(1).sample(ask.numbers, len(ask.numbers)) if self._shuffled else ask.numbers
                for number in numbers:
                    self.asked.append(number)
                    came = self.server(number)
                    ask = walk.send((number, came if isinstance(came, Page) else Unread(number, came, 2)))
                    if ask is not None:
                        break
        except StopIteration as end:
            return end.value


def verdict(server, **options):
    """Read one tag, and give verdict and reason."""
    proof = Run(server).read(**options)
    assert (proof.verdict == "complete") == bool(proof.pages)
    return proof.verdict, proof.reason


@pytest.mark.parametrize("size", [1, 19, 20, 500])
@pytest.mark.parametrize("rows", [0, 1, 18, 19, 20, 21, 38, 40, 57, 500, 1001])
def test_a_population_that_holds_still_is_complete(rows, size):
    """Every size of page and population is complete, in order, in one pass, with one look at most."""
    run = Run(serve(range(rows), size), shuffled=True)
    proof = run.read()
    pages = max(1, -(-rows // size))
    full = rows > 0 and rows % size == 0 and (pages > 1 or size in USUAL_PAGE_SIZES)
    usual_by_chance = pages == 1 and rows in USUAL_PAGE_SIZES
    assert (proof.verdict, proof.rows_declared, proof.rows_received, proof.pages_read) == (
        "complete",
        rows,
        rows,
        pages,
    )
    assert [json.loads(one.rows_json) for one in proof.pages] == [
        [dated(row) for row in range(rows)[start * size : (start + 1) * size]] for start in range(pages)
    ]
    assert sorted(run.asked) == list(range(1, pages + 1 + (full or usual_by_chance)))
    assert proof.reason == f"all {rows} rows on {pages} page{'' if pages == 1 else 's'}"


# ---- what stands behind the end

FULL = serve(range(40), 20)
BEHIND = [
    ("an empty page", page(3, 40, []), "complete"),
    ("an empty page that counts itself", page(3, 0, []), "complete"),
    ("the last page again, clamped", page(2, 40, range(20, 40)), "complete"),
    ("the last page under the number asked for", page(3, 40, range(20, 40)), "complete"),
    ("the first page, as where `page` is not known", page(1, 40, range(20)), "complete"),
    ("the last page in another order", page(2, 40, range(39, 19, -1)), "complete"),
    ("a clamped page whose statuses changed", page(2, 40, [dated(n) | {"status": "Ko"} for n in range(20, 40)]), "complete"),
    ("a clamped page, half of it dated by now", page(2, 40, [dated(n, n - n % 2 * 99) for n in range(20, 40)]), "complete"),
    ("HTTP 404", errors.UnexpectedStatus("HTTP 404", http_status=404), "complete"),
    ("HTTP 500", errors.UnexpectedStatus("HTTP 500", http_status=500), "complete"),
    ("code 4", GONE, "complete"),
    ("code 9", errors.VendorError("code 9", code=9), "complete"),
    ("no page at all", errors.UnreadableBody("no list"), "complete"),
    ("a page that was cut, and may have held rows", errors.CutBody("cut"), "failed"),
    ("no connection", errors.ConnectionFailed("refused"), "failed"),
    ("no answer in time", errors.ResponseTimeout("no answer"), "failed"),
    ("code 429", errors.RateLimited("slower"), "failed"),
    ("more than a page can be", errors.BodyTooLarge("too large"), "failed"),
    ("other rows", page(3, 40, [40]), "incomplete"),
    ("other rows under another number", page(1, 40, range(40, 60)), "incomplete"),
    ("the same numbers, all written to at another time", page(3, 40, [dated(n, n - 99) for n in range(20, 40)]), "incomplete"),
    ("one row of the last page", page(3, 40, [39]), "incomplete"),
    ("a larger total", page(3, 41, [40]), "unstable"),
    ("an empty page with another total", page(3, 39, []), "unstable"),
    ("the last page with another total", page(2, 39, range(20, 40)), "unstable"),
]  # fmt: skip


@pytest.mark.parametrize(("behind", "expected"), [case[1:] for case in BEHIND], ids=[case[0] for case in BEHIND])
def test_the_look_behind_the_end(behind, expected):
    """Where the last page is full one page more is asked for, and only rows or another total there are a doubt."""
    run = Run(but(FULL, p3=behind))
    proof = run.read(pauses=())
    passes = 3 if expected in {"incomplete", "unstable"} else 1
    assert (proof.verdict, run.asked, proof.rows_received) == (expected, [1, 2, 3] * passes, 40)


def test_statuses_that_ripened_behind_the_end():
    """A clamped page whose rows were not dated yet when they were read is the same page."""
    waiting = serve([undated(n, "Waiting") for n in range(20)], 20)
    assert verdict(but(waiting, p2=page(1, 20, range(20)))) == ("complete", "all 20 rows on 1 page")


LOOKS = [
    ("a usual size, and nothing is known", [], 20, True),
    ("no usual size", [], 19, False),
    ("nothing", [], 0, False),
    ("a page of more rows was seen", [serve(range(21), 100)], 20, False),
    ("a page of as many rows was seen", [serve(range(20), 100)], 20, True),
    ("a first page declared more than it held", [serve(range(5), 4)], 20, False),
    ("a first page declared a whole number of pages", [serve(range(40), 20)], 20, True),
    ("no usual size, and another tag has as many", [serve(range(30), 99)], 30, True),
    ("no usual size, and one of as many was looked behind", [serve(range(30), 99), serve(range(30), 99)], 30, False),
    ("no page size, and another tag has as many", [serve(range(9), 99)], 9, False),
    ("no usual size, and a larger one was seen", [serve(range(30), 99), serve(range(31), 99)], 30, False),
    ("such a page was followed by another", [serve(range(20), 10, total=10)], 10, True),
    ("such a page was followed, and a larger one was seen", [serve(range(20), 10, total=10), serve(range(21), 99)], 10, True),
    ("another size was followed, and a larger one was seen", [serve(range(20), 10, total=10), serve(range(21), 99)], 20, False),
]  # fmt: skip


@pytest.mark.parametrize(("before", "rows", "looks"), [case[1:] for case in LOOKS], ids=[case[0] for case in LOOKS])
def test_when_a_first_page_alone_is_full(before, rows, looks):
    """A page alone is full by what the run has seen of paging, else by a usual size; a full second page always is."""
    run = Run(FULL)
    for run.server in before:
        run.read(pauses=())
    for run.server, asked in ((serve(range(rows), 10**6), [1, 2] if looks else [1]), (FULL, [1, 2, 3])):
        run.asked.clear()
        assert (run.read().verdict, run.asked) == ("complete", asked)


def test_rows_behind_the_end_are_not_forgotten():
    """A tag with rows behind its end is looked at in every pass, whatever other tags show meanwhile of totals."""
    run = Run(serve(range(25), 20, total=20))
    walk = walk_pages("t", run.seen, pauses=())
    next(walk)
    walk.send((1, run.server(1)))
    walk.send((2, run.server(2)))
    run.server, capped = serve(range(45), 20), run.server
    assert run.read("other").verdict == "complete"
    assert list(walk.send((1, capped(1))).numbers) == [2]


@pytest.mark.parametrize(
    ("servers", "unproved"),
    [
        ([], False),
        ([serve(range(19), 20)], False),
        ([serve(range(20), 20)], True),
        ([serve(range(20), 20), serve(range(21), 20)], False),
        ([serve(range(21), 20), serve(range(20), 20)], False),
        ([but(serve(range(20), 20), p2=page(1, 20, range(20)))], True),
        ([serve([undated(1)] * 40, 20)], True),
        ([serve(range(25), 20, total=20)], False),
    ],
    ids=["no tag", "no look", "only looks", "then pages", "first pages", "ignored", "all alike", "rows behind"],
)
def test_paging_that_is_not_proved(servers, unproved):
    """A run that had to look, and never saw a second page with other rows, knows that paging is not proved."""
    run = Run(FULL)
    for run.server in servers:
        run.read(pauses=())
    assert run.seen.unproved == unproved


# ---- doubts

SHORT = "page 2 of 3 holds {} instead of 4"
DOUBTS = [
    ("page 1 answers as page 2", lambda _: page(2, 10, range(4)), "incomplete", "asked for page 1, the API answered with page 2"),
    ("page 1 is empty", lambda _: page(1, 10, []), "incomplete", "page 1 of 1 holds 0 rows instead of 10"),
    ("page 1 holds too many", lambda _: page(1, 3, range(4)), "incomplete", "page 1 of 1 holds 4 rows instead of 3"),
    ("rows, and a total of 0", lambda _: page(1, 0, [1]), "incomplete", "page 1 of 1 holds 1 row instead of 0"),
    ("page is ignored", lambda _: page(1, 10, range(4)), "incomplete", "asked for page 2, the API answered with page 1"),
    ("an empty page", but(serve(range(10), 4), p2=page(2, 10, [])), "incomplete", SHORT.format("0 rows")),
    ("a short page", but(serve(range(10), 4), p2=page(2, 10, [4])), "incomplete", SHORT.format("1 row")),
    ("a long page", but(serve(range(10), 4), p2=page(2, 10, range(4, 9))), "incomplete", SHORT.format("5 rows")),
    ("a long last page", but(serve(range(10), 4), p3=page(3, 10, range(7, 10))), "incomplete", "page 3 of 3 holds 3 rows instead of 2"),
    ("pages that repeat", lambda n: page(n, 8, range(4)), "incomplete", "page 2 repeats page 1 row for row"),
    ("undated pages that repeat", lambda n: page(n, 8, [undated(1), undated(2)]), "incomplete", "page 2 repeats page 1 row for row"),
    ("pages that repeat, of which a row ripens each time", lambda n: page(n, 12, [row if row < n else undated(row) for row in range(6)]), "incomplete", "page 2 repeats page 1 in most rows"),
    ("a total that moves", but(serve(range(10), 4), p3=page(3, 11, [8, 9, 10])), "unstable", "page 1 declared 10 rows in total, page 3 declared 11"),
    ("a tag that goes", but(serve(range(10), 4), p2=GONE), "unstable", "page 1 declared 10 rows in total, then the API answered code 4"),
    ("shrunk behind a clamp", but(serve(range(10), 4), p3=page(2, 8, range(4, 8))), "unstable", "page 1 declared 10 rows in total, page 3 declared 8"),
    ("total = rows of the page", serve(range(25), 20, total=20), "incomplete", "page 2, behind the end, holds rows (5) that the total 20 does not count"),
    ("total capped at a page", serve(range(250), 100, total=200), "incomplete", "page 3, behind the end, holds rows (50) that the total 200 does not count"),
    ("too many pages", lambda n: page(n, MOST_PAGES + 1, [1]), "incomplete", "100001 rows at 1 a page are over 100,000 pages"),
    ("one row for ever", lambda n: page(n, 10**15, [1]), "incomplete", "1000000000000000 rows at 1 a page are over 100,000 pages"),
    ("one row again and again", lambda n: page(n, 90_000, [1]), "incomplete", "page 3 is a third page in a row of one same single row"),
    ("one undated row again and again", lambda n: page(n, 5, [undated(1)]), "incomplete", "page 3 is a third page in a row of one same single row"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("server", "expected", "reason"), [case[1:] for case in DOUBTS], ids=[case[0] for case in DOUBTS]
)
def test_doubts(server, expected, reason):
    """Any doubt gets another pass, 3 in all, 1 s and then 5 s apart; the first clean pass is the end of it, or the last."""
    honest = serve(range(5), 3)
    for doubtful in (1, 2, 3):
        passes = 0

        def answer(number):
            nonlocal passes
            passes += number == 1
            return server(number) if passes <= doubtful else honest(number)  # noqa: B023 - called at once

        run = Run(answer)
        proof = run.read()
        assert run.pauses == [1.0, 5.0][:doubtful]
        if doubtful < 3:
            assert (proof.verdict, proof.rows_received, proof.rows_declared, proof.pages_read) == ("complete", 5, 5, 2)
    assert (proof.verdict, proof.reason, proof.pages) == (expected, f"{reason} (read 3 times)", ())
    assert len(run.asked) <= 3 * 3


def test_one_row_again_and_again_in_any_order():
    """Three pages of one same row are found out in whatever order they arrive."""
    walk = walk_pages("t", PagingSeen(), passes=1)
    next(walk)
    for number in (1, 5, 4):
        walk.send((number, page(number, 9, [undated(1)])))
    with pytest.raises(StopIteration) as ended:
        walk.send((3, page(3, 9, [undated(1)])))
    assert ended.value.value.verdict == "incomplete"


def test_the_last_pass_decides_by_its_own_doubt():
    """A tag that moved first and fell short in the last pass is incomplete, and so on; one that goes is unknown."""
    moved, short = but(serve(range(6), 4), p2=page(2, 7, [4, 5, 6])), but(serve(range(6), 4), p2=page(2, 6, [4]))
    cases = {"incomplete": [moved, moved, short], "unstable": [short, short, moved], "unknown": [moved, lambda _: GONE]}
    for expected, servers in cases.items():
        left = iter([server for server in servers for _ in (1, 2)])
        assert verdict(lambda number, left=left: next(left)(number))[0] == expected


@pytest.mark.parametrize("passes", [1, 2, 5])
def test_passes_are_a_limit(passes):
    """A tag is read as often as allowed, and the last pause goes for all later ones."""
    run = Run(but(FULL, p2=GONE))
    assert run.read(passes=passes).verdict == "unstable"
    assert (run.asked, run.pauses) == ([1, 2] * passes, [1.0, 5.0, 5.0, 5.0][: passes - 1])


# ---- rows on two pages

TWENTY = 20
ODD_ROWS = ["no object", None, {"phoneNumber": {"a": 1}, "date": "1"}, {"phoneNumber": ["+336"], "date": []}, {}, 7.5]
HONEST_TWINS = random.Random(7).sample([dated(n, 0) for n in [*range(700), *range(300)]], 1000)
"""300 numbers twice in a list of 1,000, wherever: as some of them share a page, the pages need not overlap."""

LAWFUL = [
    ("45 rows of a dead number", [undated(1)] * 45, TWENTY, 0),
    ("40 rows of a dead number: full", [undated(1)] * 40, TWENTY, 0),
    ("a dead number, with two words for it", [undated(1, "ko" if n % 7 else "Not delivered") for n in range(60)], TWENTY, 0),
    ("ten people, six of them dead, written to each week", [undated(n) if n < 6 else dated(n, week) for week in range(8) for n in range(10)], TWENTY, 0),
    ("dead numbers written to each week", [undated(n) if n < 9 else dated(n, week) for week in range(8) for n in range(18)], TWENTY, 0),
    ("one number at many times", [dated(1, second) for second in range(45)], TWENTY, 0),
    ("many numbers in one second", [dated(n, 0) for n in range(90)], TWENTY, 0),
    ("a list of as many as a page, each week", [dated(n, week) for week in range(4) for n in range(TWENTY)], TWENTY, 0),
    ("each number twice, side by side", [dated(n // 2) for n in range(90)], 19, 2),
    ("each number twice, even pages", [dated(n // 2) for n in range(90)], TWENTY, 0),
    ("four numbers twice, side by side over an end", [*range(19), 19, 19, *range(20, 40)], TWENTY, 1),
    ("one number thrice, over an end", [*range(19), 19, 19, 19, *range(20, 40)], TWENTY, 1),
    ("two numbers twice, far apart, in one order", [*range(88), 0, 1], TWENTY, 2),
    ("five numbers twice, far apart, in another order", [*range(85), 4, 3, 2, 1, 0], TWENTY, 5),
    ("three in a row, one of them without a date", [*range(18), undated(18), 19, 18, undated(18), 19, *range(20, 39)], TWENTY, 1),
    ("three in a row, over an end", [*range(40), 18, 19, 20, *range(40, 57)], TWENTY, 3),
    ("two rows that take turns", [*range(17), 17, 18, 17, 17, 18, 17, *range(19, 36)], TWENTY, 2),
    ("two rows, one beside its twin", [*range(17), 17, 17, 18, 17, 17, 18, *range(19, 36)], TWENTY, 2),
    ("a pair of rows on pages of one", [1, 1, 2, 2], 1, 2),
    ("nine rows of two pages, in another order", [*range(20), *reversed(range(9)), *range(20, 31)], TWENTY, 9),
    ("many honest duplicates", HONEST_TWINS, 100, 275),
    ("rows of any shape, which are for the quarantine", [*ODD_ROWS, *range(10)], 4, 0),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "size", "shared"), [case[1:] for case in LAWFUL], ids=[case[0] for case in LAWFUL])
def test_lawful_repetitions_load(rows, size, shared):
    """A number really sent to many times loads, and honest duplicates do; those on two pages are counted."""
    run = Run(serve(rows, size), shuffled=True)
    proof = run.read()
    pages = -(-len(rows) // size)
    note = {0: "", 1: "; 1 dated row on more than one page"}.get(shared, f"; {shared} dated rows on more than one page")
    assert (proof.verdict, proof.reason) == ("complete", f"all {len(rows)} rows on {pages} pages{note}")


def ties(rows, size):
    """LIMIT and OFFSET over rows of one second: every page is cut from an order of its own."""

    def answer(number):
        order = [dated(n, 0) for n in range(rows)]
        random.Random(number).shuffle(order)
        return page(number, rows, order[(number - 1) * size : number * size])

    return answer


OVERLAPS = [
    ("page 2 begins with the end of page 1", but(serve(range(45), 20), p2=page(2, 45, range(10, 30))), "pages 1 and 2 overlap"),
    ("page 3 is half of page 1", but(serve(range(60), 20), p3=page(3, 60, [*range(10), *range(40, 50)])), "pages 1 and 3 overlap"),
    ("three rows", but(serve(range(45), 20), p2=page(2, 45, [17, 18, 19, *range(20, 37)])), "pages 1 and 2 overlap"),
    ("three rows, others without a date between", but(
        serve([*range(16), undated(98), 17, 18, 19, *range(20, 45)], 20),
        p2=page(2, 45, [15, undated(98), undated(97), 17, 18, *range(22, 37)]),
    ), "pages 1 and 2 overlap"),
    ("three rows, each beside its twin", but(
        serve([*range(14), 17, 17, 18, 18, 19, 19, *range(20, 45)], 20), p2=page(2, 45, [17, 17, 18, 18, 19, 19, *range(20, 34)])
    ), "pages 1 and 2 overlap"),
    ("three rows, one of them flipped to stop", but(
        serve(range(45), 20), p2=page(2, 45, [17, dated(18) | {"stopSMS": True}, 19, *range(20, 37)])
    ), "pages 1 and 2 overlap"),
    ("ties: 1,000 rows at 100 a page", ties(1000, 100), "dated rows stand on more than one of 10 pages, none twice on one"),
    ("ties: 400 rows at 200 a page", ties(400, 200), "dated rows stand on more than one of 2 pages, none twice on one"),
    ("ten rows of two pages, in another order", but(
        serve(range(40), 20), p2=page(2, 40, [*reversed(range(10)), *range(20, 30)])
    ), "pages overlap: 10 dated rows stand on more than one of 2 pages, none twice on one"),
    ("rows of another shape", but(
        serve([dated(n) | {"date": SENT + n, "extra": [{}]} for n in range(45)], 20),
        p2=page(2, 45, [dated(n) | {"date": SENT + n, "extra": [{}]} for n in range(10, 30)]),
    ), "pages 1 and 2 overlap"),
]  # fmt: skip


@pytest.mark.parametrize(("server", "reason"), [case[1:] for case in OVERLAPS], ids=[case[0] for case in OVERLAPS])
def test_overlapping_pages_are_incomplete(server, reason):
    """Pages that overlap while the total stays are found out, alike on every reading."""
    found, why = verdict(server, pauses=())
    assert (found, reason in why) == ("incomplete", True), why


# ---- unknown tags, failures, settled tags, and `verify`


@pytest.mark.parametrize(
    ("tag", "note"),
    [
        ("promo-été", ""),
        ("Promo", "; this tag has capitals, and the vendor's tags are lower case"),
        ("e\u0301te", "; this tag has combining accents, and may have been sent with composed ones"),
        ("E\u0301te", "; this tag has capitals, and the vendor's tags are lower case; this tag has combining accents, and may have been sent with composed ones"),
    ],
)  # fmt: skip
def test_unknown(tag, note):
    """A tag that is unknown on page 1 is unknown; the reason names what of its spelling may be why."""
    run = Run(lambda _: GONE)
    proof = run.read(tag)
    assert (proof.verdict, proof.reason, run.asked) == ("unknown", f"the API answered code 4{note}", [1])


@pytest.mark.parametrize("number", [1, 2])
def test_a_page_that_can_not_be_read_fails_the_tag(number):
    """Its error, its number and the requests it took are the reason; there is no other pass."""
    run = Run(but(FULL, **{f"p{number}": errors.ResponseTimeout("no whole answer within 30 s")}))
    proof = run.read()
    reason = f"page {number}: no whole answer within 30 s (2 requests)"
    assert (proof.verdict, proof.reason, run.asked) == ("failed", reason, [1, 2][:number])
    assert (proof.rows_declared, proof.rows_received, proof.pages_read) == (
        (None, 0, 0) if number == 1 else (40, 20, 1)
    )


def test_settled_tags():
    """Unchanged, one is skipped after page 1, which still shows paging; changed, page 1 is used, and compared once."""
    run, compared = Run(serve(range(45), 20)), []
    proof = run.read(is_loaded=lambda first: first.total == 45)
    assert (proof.verdict, proof.reason) == ("skipped", "unchanged: total and first page are as loaded")
    assert (proof.rows_declared, proof.rows_received, proof.pages_read, run.asked) == (45, 20, 1, [1])
    assert run.seen.declares_more
    run = Run(but(FULL, p2=page(2, 41, range(20))))
    assert run.read(is_loaded=lambda first: bool(compared.append(first.number))).verdict == "unstable"
    assert (run.asked, compared) == ([1, 2] * 3, [1])


def test_verify_reads_twice():
    """With `verify`, a tag that holds still is read twice without a pause, and the second reading counts."""
    readings = iter([serve(range(5), 4)] * 2 + [serve([dated(n) | {"status": "Ko"} for n in (3, 1, 0, 2, 4)], 4)] * 2)
    run = Run(lambda number: next(readings)(number))  # noqa: PLW0108 - the next each time
    proof = run.read(verify=True)
    assert (proof.verdict, run.asked, run.pauses) == ("complete", [1, 2] * 2, [])
    assert b"Ko" in proof.pages[0].rows_json


@pytest.mark.parametrize("then", [[0, 0, 1], [0, 1, 2], [0, 1, None], [0, 1, {"phoneNumber": "n/a"}]])
def test_verify_sees_what_totals_hide(then):
    """Numbers that change while the total stays are a doubt, until two passes in a row agree; beside odd rows, too."""
    servers = {"a": serve([0, 1, 1, None], 9), "b": serve([*then, None], 9)}
    for readings, expected in (("abb", "complete"), ("aa", "complete"), ("aba", "unstable")):
        left = iter(readings)
        run = Run(lambda number, left=left: servers[next(left)](number))
        assert (run.read(verify=True).verdict, len(run.asked)) == (expected, len(readings))
        assert run.pauses == [5.0][: len(readings) - 2]


def test_verify_begins_anew_after_a_doubt():
    """Two readings with a doubt between them are not two in a row."""
    honest, moved = serve(range(5), 4), but(serve(range(5), 4), p2=page(2, 6, [4, 5]))
    left = iter([server for server in (honest, moved, honest) for _ in (1, 2)])
    assert verdict(lambda number: next(left)(number), verify=True) == (  # noqa: PLW0108 - the next each time
        "unstable",
        "no second pass could confirm the phone numbers (read 3 times)",
    )


# ---- any population

ROWS = st.lists(st.integers(0, 10**7), max_size=40, unique=True)
SIZE = st.integers(1, 12)


@settings(max_examples=80)
@given(rows=ROWS.filter(lambda rows: len(rows) > 1), size=SIZE, data=st.data())
def test_any_single_fault_is_found(rows, size, data):
    """A population that holds still is complete; any one page lost, cut, grown, or in another's place makes it not."""
    honest, last = serve(rows, size), -(-len(rows) // size)
    assert Run(honest, shuffled=True).read().rows_received == len(rows)
    number = data.draw(st.integers(1, last), "page")
    right = rows[(number - 1) * size : number * size]
    wrong = {
        "lost": page(number, len(rows), []),
        "cut": page(number, len(rows), right[:-1]),
        "other": honest(number % last + 1) if last > 1 else page(2, len(rows), right),
    }
    if number > 1:  # a larger first page may be one that holds all there is
        wrong["grown"] = page(number, len(rows), [*right, 10**7 + 1])
    fault = data.draw(st.sampled_from(sorted(wrong)), "fault")
    assert verdict(but(honest, **{f"p{number}": wrong[fault]}), pauses=())[0] == "incomplete"
