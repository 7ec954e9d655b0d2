"""The walk over one tag's pages, driven by hand: no HTTP, no threads."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smspartner.errors import (
    PopulationError,
    PopulationIncomplete,
    PopulationMoved,
    RequestError,
    ResponseTimeout,
    UnknownTag,
)
from smspartner.page import Page
from smspartner.pagination import Walk, walk_pages

Fetch = Callable[[int], Page | RequestError]
GONE = UnknownTag("the API answered code 4 (message not found)", code=4, http_status=200)


def page(number: int, total: int, rows: Sequence[object]) -> Page:
    """A page of these rows: an `int` is a row of that number, anything else is the row's JSON value."""
    values = [{"phoneNumber": f"+336{row:08}", "status": "Waiting"} if isinstance(row, int) else row for row in rows]
    rows_json = json.dumps(values).encode()
    return Page(number, total, len(rows), rows_json)


def drive(walk: Walk, fetch: Fetch) -> tuple[tuple[Page, ...] | PopulationError | RequestError, list[int]]:
    """Do what the walk asks for; return how it ended, and the numbers asked for in order."""
    asked: list[int] = []
    try:
        ask = next(walk)
        while True:
            pages = []
            try:
                for number in ask.numbers:
                    asked.append(number)
                    got = fetch(number)
                    if isinstance(got, RequestError):
                        raise got
                    ask.accept(number, got)
                    pages.append(got)
            except (PopulationError, RequestError) as doubt:
                ask = walk.throw(doubt)
            else:
                ask = walk.send(pages)
    except StopIteration as end:
        return end.value, asked
    except (PopulationError, RequestError) as exc:
        return exc, asked


def population(rows: Sequence[object], size: int) -> Fetch:
    """A server that holds these rows and behaves."""
    return lambda number: page(number, len(rows), rows[(number - 1) * size : number * size])


def one_by_one(*answers: Page | RequestError) -> Fetch:
    """A server that gives these answers, whatever it is asked."""
    left = iter(answers)
    return lambda _number: next(left)


@pytest.mark.parametrize(
    ("rows", "size", "asked"),
    [
        (0, 10, [1]),
        (1, 10, [1]),
        (9, 10, [1]),
        (10, 10, [1]),
        (11, 10, [1, 2]),
        (20, 10, [1, 2]),
        (21, 10, [1, 2, 3]),
        (3, 1, [1, 2, 3]),
        (1000, 7, list(range(1, 144))),
    ],
)
def test_complete(rows: int, size: int, asked: list[int]) -> None:
    """A population that holds still is complete after each of its pages was asked for once, in order."""
    fetch = population(range(rows), size)
    pages, numbers = drive(walk_pages(3), fetch)
    assert (asked, [fetch(number).rows_json for number in asked]) == (  # type: ignore[union-attr]
        *(numbers, [one.rows_json for one in pages]),  # type: ignore[union-attr]
    )


def test_one_row_pages_may_repeat() -> None:
    """A number that was sent to twice is a row twice, also where each row has a page to itself."""
    pages, numbers = drive(walk_pages(1), population([1, 1, 1], 1))
    assert (numbers, len(pages)) == ([1, 2, 3], 3)  # type: ignore[arg-type]


ROWS = list(range(10))


@pytest.mark.parametrize(
    ("answers", "reason", "asked"),
    [
        ([page(2, 10, ROWS[:4])], "asked for page 1, the API answered with page 2", [1]),
        ([page(1, 10, [])], "page 1 is empty, though 10 rows are declared in total", [1]),
        ([page(1, 3, ROWS[:4])], "page 1 holds 4 rows, more than the 3 declared in total", [1]),
        ([page(1, 0, ROWS[:1])], "page 1 holds 1 rows, more than the 0 declared in total", [1]),
        (
            [page(1, 10, ROWS[:4]), page(1, 10, ROWS[:4])],
            "asked for page 2, the API answered with page 1",
            [1, 2],
        ),
        ([page(1, 10, ROWS[:4]), page(2, 10, [])], "page 2 of 3 holds 0 rows instead of 4", [1, 2]),
        ([page(1, 10, ROWS[:4]), page(2, 10, ROWS[4:7])], "page 2 of 3 holds 3 rows instead of 4", [1, 2]),
        ([page(1, 10, ROWS[:4]), page(2, 10, ROWS[4:9])], "page 2 of 3 holds 5 rows instead of 4", [1, 2]),
        (
            [page(1, 10, ROWS[:4]), page(2, 10, ROWS[4:8]), page(3, 10, [])],
            "page 3 of 3 holds 0 rows instead of 2",
            [1, 2, 3],
        ),
        (
            [page(1, 10, ROWS[:4]), page(2, 10, ROWS[4:8]), page(3, 10, ROWS[:4])],
            "page 3 of 3 holds 4 rows instead of 2",
            [1, 2, 3],
        ),
        (
            [page(1, 8, ROWS[:4]), page(2, 8, ROWS[:4])],
            "page 2 repeats page 1 row for row",
            [1, 2],
        ),
        (
            [page(1, 9, ROWS[:3]), page(2, 9, ROWS[3:6]), page(3, 9, ROWS[3:6])],
            "page 3 repeats page 2 row for row",
            [1, 2, 3],
        ),
    ],
)
def test_incomplete(answers: list[Page], reason: str, asked: list[int]) -> None:
    """Pages that can't be a whole population end the walk at once: ignored, repeated, empty, short or long ones."""
    doubt, numbers = drive(walk_pages(3), one_by_one(*answers))
    assert (PopulationIncomplete, reason, asked) == (type(doubt), doubt.what, numbers)


def test_moving_then_still() -> None:
    """A population that grew between two pages is read again from its first page, and is complete as it is then."""
    still = [page(1, 5, ROWS[:3]), page(2, 5, ROWS[3:5])]
    pages, numbers = drive(walk_pages(2), one_by_one(page(1, 4, ROWS[:3]), page(2, 5, ROWS[3:5]), *still))
    assert (tuple(still), [1, 2, 1, 2]) == (pages, numbers)


def test_moving_to_a_single_page() -> None:
    """A population that shrank to one page between two passes is complete with that page."""
    still = page(1, 3, ROWS[:3])
    pages, numbers = drive(walk_pages(2), one_by_one(page(1, 4, ROWS[:3]), page(2, 3, []), still))
    assert ((still,), [1, 2, 1]) == (pages, numbers)


@pytest.mark.parametrize("passes", [1, 2, 5])
def test_never_still(passes: int) -> None:
    """A population that never holds still is given up after as many passes as allowed."""
    total = count(10)
    doubt, numbers = drive(walk_pages(passes), lambda number: page(number, next(total), ROWS[:3]))
    last = 10 + 2 * passes - 1
    reason = f"page 1 declared {last - 1} rows in total, page 2 declared {last} (read {passes} times)"
    assert (PopulationMoved, reason, [1, 2] * passes) == (type(doubt), doubt.what, numbers)


def test_unknown_tag() -> None:
    """A tag that is unknown on its first page is unknown."""
    assert drive(walk_pages(3), one_by_one(GONE)) == (GONE, [1])


def test_unknown_on_a_later_page() -> None:
    """A tag that becomes unknown while its pages are read has moved: it is read again, and is unknown then."""
    assert drive(walk_pages(3), one_by_one(page(1, 5, ROWS[:3]), GONE, GONE)) == (GONE, [1, 2, 1])


def test_unknown_on_a_later_page_for_ever() -> None:
    """A tag that is known on its first page only is given up as moving."""
    doubt, numbers = drive(walk_pages(2), one_by_one(page(1, 5, ROWS[:3]), GONE, page(1, 5, ROWS[:3]), GONE))
    reason = "page 1 declared 5 rows in total, then the API answered code 4 (message not found) (read 2 times)"
    assert (PopulationMoved, reason, [1, 2, 1, 2]) == (type(doubt), doubt.what, numbers)


@pytest.mark.parametrize("before", [[], [page(1, 5, ROWS[:3])]])
def test_failures_end_the_walk(before: list[Page]) -> None:
    """A page that can't be fetched ends the walk with its own error."""
    failure = ResponseTimeout("no whole answer within 30 s")
    ended, _ = drive(walk_pages(3), one_by_one(*before, failure))
    assert ended is failure


def test_verify_reads_twice() -> None:
    """With `verify` a population that holds still is read twice, and the second reading is what counts."""
    pages, numbers = drive(walk_pages(3, verify=True), population(ROWS, 4))
    assert (numbers, len(pages)) == ([1, 2, 3] * 2, 3)  # type: ignore[arg-type]


def test_verify_sees_what_totals_hide() -> None:
    """One row in and one row out leave the total as it is; only `verify` sees it, and reads until two passes agree."""
    first, then = [page(1, 3, [1, 2, 3])], [page(1, 3, [2, 3, 4])]
    assert drive(walk_pages(3), one_by_one(*first)) == ((first[0],), [1])
    assert drive(walk_pages(3, verify=True), one_by_one(*first, *then, *then)) == ((then[0],), [1, 1, 1])


def test_verify_minds_no_order_and_no_status() -> None:
    """Two passes agree if they hold the same numbers as often; statuses may ripen and rows change places."""
    ripe = page(1, 3, [2, {"phoneNumber": "+33600000001", "status": "Delivered", "date": "1517989111"}, 2])
    pages, _ = drive(walk_pages(2, verify=True), one_by_one(page(1, 3, [1, 2, 2]), ripe))
    assert pages == (ripe,)


@pytest.mark.parametrize("then", [[1, 1, 2], [1, 2, 3], [1, 2, None], [1, 2, {"phoneNumber": "n/a"}]])
def test_verify_never_agreeing(then: list[object]) -> None:
    """Passes that go on to differ are given up, also where they differ in how often a number occurs or in bad rows."""
    answers = [page(1, 3, [1, 2, 2]), page(1, 3, then), page(1, 3, [1, 2, 2])]
    doubt, numbers = drive(walk_pages(3, verify=True), one_by_one(*answers))
    reason = "the phone numbers changed between two passes, though the totals did not (read 3 times)"
    assert (PopulationMoved, reason, [1, 1, 1]) == (type(doubt), doubt.what, numbers)


def test_verify_needs_two_passes() -> None:
    """With one pass only, nothing can be verified, which the reason says."""
    doubt, numbers = drive(walk_pages(1, verify=True), population(ROWS, 10))
    assert (PopulationMoved, "the population was read once only (read 1 times)", [1]) == (
        *(type(doubt), doubt.what, numbers),
    )


def test_verify_starts_over_after_a_move() -> None:
    """The passes that must agree are two in a row: one before the population moved does not count."""
    moving = [page(1, 5, ROWS[:4]), page(2, 6, ROWS[4:5])]
    still = [page(1, 4, ROWS[:4])]
    pages, numbers = drive(walk_pages(4, verify=True), one_by_one(*still, *moving, *still, *still))
    assert ((still[0],), [1, 1, 2, 1, 1]) == (pages, numbers)


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=40),
    st.integers(1, 4),
    st.booleans(),
)
def test_whatever_changes_between_requests(
    answers: list[tuple[int, int, int]],
    passes: int,
    verify: bool,  # noqa: FBT001
) -> None:
    """The walk always ends; it ends complete only with pages that declare one total which their rows add up to."""
    calls = count()
    begun: list[Page] = []

    def fetch(number: int) -> Page:
        total, rows, first = answers[next(calls) % len(answers)]
        got = page(number, total, range(first, first + rows))
        if number == 1:
            begun.append(got)
        return got

    ended, numbers = drive(walk_pages(passes, verify=verify), fetch)

    assert len(begun) <= passes
    assert len(numbers) <= sum(max(1, -(-first.total // max(first.row_count, 1))) for first in begun)
    if isinstance(ended, tuple):
        assert {one.total for one in ended} == {sum(one.row_count for one in ended)}
        assert list(range(1, len(ended) + 1)) == [one.number for one in ended]
    else:
        assert isinstance(ended, PopulationError)


@given(
    st.lists(st.sampled_from(["grow", "shrink", "swap", "stay"]), max_size=30), st.integers(1, 5), st.integers(0, 12)
)
def test_an_honest_server_whose_population_moves(moves: list[str], size: int, rows: int) -> None:
    """An honest server's population ends complete, or as moved; never complete with other rows than declared."""
    held = list(range(rows))
    left, fresh = iter(moves), count(1000)

    def fetch(number: int) -> Page:
        move = next(left, "stay")
        if move in {"shrink", "swap"} and held:
            held.pop(0)
        if move in {"grow", "swap"}:
            held.append(next(fresh))
        return page(number, len(held), held[(number - 1) * size : number * size])

    ended, _ = drive(walk_pages(3), fetch)

    if isinstance(ended, tuple):
        assert {one.total for one in ended} == {sum(one.row_count for one in ended)}
    else:
        assert isinstance(ended, PopulationMoved)
