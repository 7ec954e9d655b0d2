"""Every class of error reads alike: what happened, where, and what to do about it."""

from __future__ import annotations

import inspect
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from smspartner import errors, vendor
from smspartner.client import Client
from smspartner.errors import NotComplete, PopulationError, SmsPartnerError, VendorError
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.lock import exclusive
from smspartner_pipelines.load.state import state_of
from smspartner.pace import Pace
from smspartner.page import Page, read_page
from smspartner.pagination import walk_pages
from smspartner.api import iter_snapshots, read_statuses
from smspartner.replay import replay
from smspartner.stored_rows import StoredTag
from smspartner.tags import check_tags
from smspartner.transport import map_failure
from smspartner_pipelines.gx import start_import
from smspartner_pipelines.outcomes import RunOutcome
from smspartner_pipelines.sandbox import Campaign, Fault
from smspartner_pipelines.settings import parse_duration
from smspartner_pipelines.user_suite import load_user_suite
from smspartner_pipelines.validation import Validator

BASES = {SmsPartnerError, PopulationError}
"""Never raised themselves."""

PLACES = {
    "ConnectionFailed": "no answer",
    "ResponseTimeout": "answer",
    "RateLimited": "the API",
    "UnexpectedStatus": "HTTP 500",
    "UnreadableBody": "the body",
    "BodyTooLarge": "the body",
    "RequestError": "the request",
    "AccessRefused": "the API",
    "UnknownTag": "the API",
    "VendorError": "the API",
    "PopulationMoved": "page 1",
    "PopulationIncomplete": "page 2",
    "NotComplete": "gone",
    "QuarantinedRows": "doubtful",
    "SettingsError": "'soon'",
    "TagError": "'a b'",
    "RawRowMissing": "loaded already",
    "CountMismatch": "tag doubtful",
    "ValidationBroken": "expectation expectation_1",
    "DestinationError": "file/data",
    "DestinationBusy": "data",
    "Interrupted": "asked to stop",
}
"""What names the place in the message of each class; for a page, its tag and number stand before it in a report."""

VERBS = {
    *("allow", "ask", "check", "correct", "drop", "give", "iter_snapshots", "load", "make", "mend", "move"),
    *("name", "please", "read", "remove", "report", "run", "set", "take", "tell", "upgrade", "use", "wait", "write"),
}
ENGLISH_QUOTED = re.compile(r'"[^"]*"')
FRENCH = re.compile(r"[éèêàçùû]|\b(le|la|les|une|est|pas|clé|numéro|introuvable)\b", re.IGNORECASE)

Provoke = Callable[[], object]


def page(api_row: Any, number: int, total: int, rows: int) -> Page:
    """Read a page of so many rows."""
    body = {"success": True, "code": 200, "currentPage": number, "total": total}
    return read_page(json.dumps({**body, "StatutResponse_List": [api_row(n) for n in range(rows)]}).encode())


def second_page(api_row: Any, total: int, rows: int) -> None:
    """Walk to a second page that declares such a total and has so many rows, after a first one of 4 of 10."""
    walk = walk_pages(3)
    next(walk)
    walk.send([page(api_row, 1, 10, 4)]).accept(2, page(api_row, 2, total, rows))


def stop() -> None:
    """Ask for a turn when all is stopped."""
    stopped = threading.Event()
    stopped.set()
    Pace(None, stopped).wait_turn()


def too_late() -> None:
    """Wait for too long."""
    raise map_failure(requests.ReadTimeout("x"), 2.5)


def no_directory() -> None:
    """Load below a file."""
    Path("file").touch()
    open_destination("file/data").check()


def hold_twice() -> None:
    """Hold a place that is held."""
    with exclusive(Path(".lock"), "data"), exclusive(Path(".lock"), "data"):
        pass


@pytest.fixture
def provoke(start_sandbox: Any, connect: Any, api_row: Any, campaign: Any, here: Path) -> dict[str, Provoke]:
    """Give, for each class, what makes the product raise it."""
    doubtful = Campaign.of_rows("doubtful", [api_row(1), api_row(2, status="?")])

    def strike(kind: str, **options: Any) -> Provoke:
        sandbox = start_sandbox([campaign("promo")], faults=[Fault(kind)])
        return lambda: Client(connect(sandbox, **options)).fetch_page("promo", 1)

    def connection() -> Any:
        return connect(start_sandbox([doubtful, campaign("promo")]))

    def twice() -> None:
        (snapshot,) = iter_snapshots(["doubtful"], connection=connection())
        outcome = RunOutcome("run", ("doubtful",))
        outcome.note(snapshot)
        outcome.note(snapshot)

    def doubt_what_is_loaded() -> None:
        (snapshot,) = iter_snapshots(["promo"], connection=connection())
        snapshot = snapshot.doubting({0: ("my_rule",)})
        replay(StoredTag(state_of(snapshot, "run"), snapshot.table, snapshot.quarantine), "later").doubting({1: ("r",)})

    def judge_badly() -> None:
        start_import()
        (snapshot,) = iter_snapshots(["promo"], connection=connection())
        bad = {"type": "expect_column_max_to_be_between", "kwargs": {"column": "phone_number", "min_value": 1}}
        (here / "mine.json").write_text(json.dumps({"name": "mine", "expectations": [bad]}), encoding="utf-8")
        Validator(user_suite=load_user_suite("mine.json")).judge([snapshot.table])

    def unforeseen() -> None:
        client = Client(connection())
        raise client._get(f"{client._connection.base_url}/me", lambda *_: 1 / 0)  # type: ignore[arg-type, misc]

    return {
        "RequestError": unforeseen,
        "ConnectionFailed": strike("reset"),
        "ResponseTimeout": too_late,
        "RateLimited": strike("rate_limit_bare"),
        "UnexpectedStatus": strike("server_error"),
        "UnreadableBody": strike("html"),
        "BodyTooLarge": lambda: Client(connect(start_sandbox([campaign("promo", 90)]), max_body_bytes=999)).fetch_page(
            "promo", 1
        ),
        "VendorError": strike("vendor_error_90"),
        "UnknownTag": lambda: Client(connection()).fetch_page("gone", 1),
        "AccessRefused": strike("vendor_error_10"),
        "PopulationMoved": lambda: second_page(api_row, 11, 4),
        "PopulationIncomplete": lambda: second_page(api_row, 10, 3),
        "NotComplete": lambda: read_statuses(["gone"], connection=connection()),
        "QuarantinedRows": lambda: read_statuses(["doubtful"], connection=connection()),
        "SettingsError": lambda: parse_duration("soon"),
        "TagError": lambda: check_tags(["a b"]),
        "RawRowMissing": doubt_what_is_loaded,
        "CountMismatch": twice,
        "ValidationBroken": judge_badly,
        "DestinationError": no_directory,
        "DestinationBusy": hold_twice,
        "Interrupted": stop,
    }


def faults_of_style(message: str, place: str) -> list[str]:
    """List what is wrong with the style of a message."""
    outside = ENGLISH_QUOTED.sub('""', message)
    remedy = re.split(r"; |: (?=[a-z])", outside, maxsplit=1)[-1]
    begins = re.match(r"[a-z0-9'\"/(]|[A-Z]{2,}|(Great Expectations|PostgreSQL|Delta|DuckDB|SMS Partner)\b", message)
    wrong = {
        "begins with a capital": not begins,
        "ends with a full stop": message.endswith("."),
        "has more than one line": "\n" in message,
        "is longer than 300 characters": len(message) > 300,
        "names no place": place not in message,
        "has no remedy": not VERBS & set(re.findall(r"[a-z_]+", remedy)) or remedy == outside,
        "speaks French outside of quotes": bool(FRENCH.search(outside)),
        "tells a traceback": "Traceback" in message,
        "tells a key or number": bool(re.search(r"sandbox-key|\+?336\d|06 ?3", message)),
    }
    return [name for name, is_wrong in wrong.items() if is_wrong]


def raised() -> list[str]:
    """Name every class of error that is raised, wherever it derives from."""
    kinds = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, SmsPartnerError)}
    return sorted(kind.__name__ for kind in kinds - BASES)


@pytest.mark.parametrize("name", raised())
def test_every_class_reads_alike(provoke: dict[str, Provoke], name: str) -> None:
    """Whatever goes wrong is told in one line: what, where, and what to do; no key, number or traceback."""
    with pytest.raises(SmsPartnerError) as caught:
        provoke[name]()
    assert type(caught.value).__name__ == name
    assert faults_of_style(str(caught.value), PLACES[name]) == [], str(caught.value)


@pytest.mark.parametrize("code", [*sorted(vendor.ERROR_CODES), 77])
def test_codes_of_the_vendor(code: int) -> None:
    """Each code is told by its meaning in English, with the vendor's sentence in quotes, and what to do."""
    body = {"success": False, "code": code, "message": "Désolé, le numéro est introuvable"}
    with pytest.raises(VendorError) as caught:
        read_page(json.dumps(body).encode())
    message = str(caught.value)
    assert message.startswith(f"the API answered code {code} ({vendor.ERROR_CODES.get(code, 'not documented')}), ")
    assert '"Désolé, le numéro est introuvable"; ' in message
    assert faults_of_style(message, f"code {code}") == []
    assert vendor.ERROR_CODES.keys() == vendor.REMEDIES.keys()


def test_many_tags_do_not_make_a_long_message() -> None:
    """However many tags are not complete, the message stays short; the facts hold all."""
    lacking = NotComplete({f"tag-{number}": ("failed", "page 1: no answer") for number in range(500)})
    assert faults_of_style(str(lacking), "tag-0") == []
    assert len(lacking.verdicts) == 500


@pytest.mark.parametrize(
    "bad",
    [
        "Something broke; run again",
        "it broke",
        "it broke; run again.",
        "la clé est fausse; check it",
        "a\nb; run again",
    ],
)
def test_the_check_of_style_sees_faults(bad: str) -> None:
    """A message of another style is found."""
    assert faults_of_style(bad, "") != []
