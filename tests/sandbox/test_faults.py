"""Faults strike where they are told to, and are written on one line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from smspartner_pipelines.sandbox import FAULT_KINDS, Fault, FaultSchedule, Sandbox, parse_fault
from smspartner_pipelines.sandbox.fault_table import FaultTable

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., Any]


def test_every_kind_is_described() -> None:
    """Each kind has a description on one line, and can be made without further ado."""
    assert all(text and "\n" not in text for text in FAULT_KINDS.values())
    assert [Fault(kind) for kind in FAULT_KINDS] == [parse_fault(kind) for kind in FAULT_KINDS]


def struck(schedule: FaultSchedule, *requests: tuple[str | None, int | None]) -> list[bool]:
    """Tell for each request whether a fault strikes it."""
    return [bool(schedule.strikes(tag, number, holds_rows=True)) for tag, number in requests]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault("html"), [True, True, True, True, True]),
        (Fault("html", tag="a"), [True, True, False, False, True]),
        (Fault("html", page=2), [False, True, False, True, False]),
        (Fault("html", tag="a", page=1), [True, False, False, False, True]),
        (Fault("html", times=2), [True, True, False, False, False]),
        (Fault("html", after=3), [False, False, False, True, True]),
        (Fault("html", tag="a", times=1, after=1), [False, True, False, False, False]),
    ],
)
def test_faults_strike_where_told(fault: Fault, expected: list[bool]) -> None:
    """Tag and page choose the requests; `after` and `times` count those that match, and no others."""
    requests = [("a", 1), ("a", 2), ("b", 1), ("b", 2), ("a", 1)]

    assert expected == struck(FaultSchedule([fault]), *requests)


def test_same_fault_twice_counts_twice() -> None:
    """Two equal faults count for themselves: the second starts when it is added."""
    schedule = FaultSchedule([Fault("html", times=1)])
    first = struck(schedule, ("a", 1), ("a", 1))
    schedule.add(Fault("html", times=1))
    second = struck(schedule, ("a", 1), ("a", 1))
    schedule.add(Fault("html"))
    schedule.clear()

    assert [True, False] == first == second
    assert struck(schedule, ("a", 1)) == [False]


def test_faults_add_up(sandbox: Sandbox, ask: Ask, sound: bytes) -> None:
    """Several faults that strike one request all take effect."""
    expected = json.loads(sound) | {"total": "5"}
    expected["StatutResponse_List"][0]["date"] = "soon"
    sandbox.faults.add(Fault("bom"), Fault("total_string"), Fault("bad_date"), Fault("slow", seconds=0))
    reply = ask(sandbox, "promo", 2)

    assert expected == json.loads(reply.body.decode("utf-8-sig"))
    assert sandbox.requests[-1].faults == ("bom", "total_string", "bad_date", "slow")


def test_faults_without_tag_strike_the_account_too(sandbox: Sandbox, ask_raw: Ask) -> None:
    """A fault of the wire strikes `/v1/me` unless it has a tag or page; a fault in rows is not used up there."""
    sandbox.faults.add(Fault("bad_status", times=1), Fault("not_found", page=1), Fault("server_error", times=1))
    statuses = [ask_raw(sandbox, "/v1/me?apiKey=sandbox-key").status for _ in range(2)]
    sandbox.faults.clear()

    assert statuses == [500, 200]
    assert [record.faults for record in sandbox.requests] == [("server_error",), ()]


def test_faults_spare_paths_the_api_does_not_have(sandbox: Sandbox, ask: Ask, ask_raw: Ask) -> None:
    """A client that follows a redirect arrives at a 404, and the log shows it."""
    sandbox.faults.add(Fault("redirect"))
    target = ask(sandbox, "promo").headers["Location"]

    assert ask_raw(sandbox, target).status == 404
    assert [(one.path, one.status) for one in sandbox.requests] == [
        ("/v1/bulk-status-by-tag", 302),
        ("/v1/elsewhere", 404),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("html", Fault("html")),
        (" html: ", Fault("html")),
        ("html:tag=promo-nov,page=2,times=1,after=1", Fault("html", "promo-nov", 2, 1, 1)),
        ("slow:seconds=0.5", Fault("slow", seconds=0.5)),
        ("html:tag=soldes-été", Fault("html", tag="soldes-été")),
        ("html:tag=a:b=c%2Cd%25", Fault("html", tag="a:b=c,d%")),
    ],
)
def test_parse_fault(text: str, expected: Fault) -> None:
    """Faults are written as on the command line, whatever characters the tag has."""
    assert expected == parse_fault(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "there is no fault ''"),
        ("servererror", "there is no fault 'servererror'; did you mean 'server_error'?"),
        ("html:pgae=2", "'pgae=2' in the fault 'html:pgae=2' is none of tag=, page=, times=, after=, seconds="),
        ("slow:5", "'5' in the fault 'slow:5' is none of tag=, page=, times=, after=, seconds="),
        ("html:page=two", "page of a fault must be a whole number, not 'two'"),
        ("html:page=0", "page of a fault must be 1 or more, not 0"),
        ("html:times=0", "times of a fault must be 1 or more, not 0"),
        ("html:after=-1", "after of a fault must be 0 or more, not -1"),
        ("html:page=1,page=2", "page is given twice in the fault 'html:page=1,page=2'"),
        ("slow:seconds=long", "seconds of a fault must be a number, not 'long'"),
        ("slow:seconds=nan", "seconds of a fault must be 0 or more, not nan"),
    ],
)
def test_faults_that_cannot_be_read(text: str, sentence: str) -> None:
    """A fault that can't be read is refused with a sentence that says what is wrong."""
    with pytest.raises(ValueError, match=r".+") as caught:
        parse_fault(text)
    assert sentence == str(caught.value)


def test_kinds_have_one_function_each() -> None:
    """A kind can't be registered twice by mistake."""
    table: FaultTable[Any] = FaultTable()
    table.add("twice", "once", print)

    with pytest.raises(ValueError, match="twice is registered twice"):
        table.add("twice", "again", print)
