"""Every kind of fault at every place it can strike, many tags in one run: verdict, requests, and rows, to the row."""

from __future__ import annotations

import shutil
import tomllib
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from faults import KINDS, Campaign, Fault

MATRIX = tomllib.loads(Path(__file__).with_name("fault_matrix.toml").read_text(encoding="utf-8"))
PLACES = MATRIX.pop("places")
EACH_ALONE, SHORT_TIMEOUT, SHARED = "each kind in a run of its own", "a run with a timeout of one second", "one run"
HOURS = {"slow": 3600.0, "drip": 3600.0}
PAGE_SIZE = 7
FIRST, SECOND = datetime(2018, 2, 7, 7, 38, 31, tzinfo=UTC), datetime(2018, 2, 7, 7, 38, 21, tzinfo=UTC)
ROWS = [
    ("+33699000001", "waiting", False, None),  # the newcomer of some kinds
    ("+33612340001", "delivered", False, FIRST),
    ("+33612340002", "delivered", True, FIRST),
    ("+33612340003", "not_delivered", False, None),
    ("+33612340004", "ko", False, None),
    ("+33612340005", "delivered", False, SECOND),
    ("+33612340006", "waiting", False, None),
    *((f"+336123400{number:02}", "delivered", False, FIRST) for number in range(7, 15)),
]
"""The rows as they are loaded; the matrix names them by their places here."""

Place = Callable[[str, str], list[Fault]]


def strike(page: int | None = None, **when: Any) -> Place:
    """Let a kind strike this page of a tag."""
    seconds = 0.0
    return lambda kind, tag: [Fault(kind, tag, page=page, seconds=HOURS.get(kind, seconds), **when)]


STRIKES: dict[str, tuple[int, Place]] = {
    "first": (9, strike(1)),
    "later": (9, strike(2)),
    "once": (9, strike(2, times=1)),
    "retry": (9, lambda kind, tag: [Fault("server_error", tag, page=2, times=1), *strike(2, after=1)(kind, tag)]),
    "every": (9, strike()),
    "behind": (14, strike(3)),
    "full": (14, strike()),
}
"""How many rows the tag has, and what strikes it."""


@pytest.fixture
def serve(start_sandbox, api_row):
    """Serve tags of so many rows, seven on a page."""
    changed = {
        2: {"stopSMS": True},
        3: {"status": "Not delivered", "date": ""},
        4: {"status": "Ko", "date": ""},
        5: {"date": "1517989101"},
        6: {"status": "Waiting", "date": ""},
    }
    known = [api_row(n, phoneNumber=ROWS[n][0], **changed.get(n, {})) for n in range(1, 15)]

    def start(tags, count, faults):
        campaigns = [Campaign.of_rows(tag, known[:count]) for tag in tags]
        return start_sandbox([Campaign.of_rows("sound", known[:9]), *campaigns], faults=faults, page_size=PAGE_SIZE)

    return start


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """Where the dataset is kept that all cases start with, once the first of them made it."""
    return tmp_path_factory.mktemp("earlier") / "data"


@pytest.fixture
def load(earlier, start_sandbox, report, rows, api_row, here):
    """Start with a dataset of nine rows under each tag, all still waiting; give its rows by tag."""
    if not earlier.exists():
        waiting = [api_row(n, phoneNumber=ROWS[n][0], status="Waiting", date="") for n in range(1, 10)]
        tags = ["sound", *map(tag_of, KINDS)]
        assert report(start_sandbox([Campaign.of_rows(tag, waiting) for tag in tags]), *tags, "--to", "data")[0] == 0
        (here / "data").rename(earlier)

    def start(tags):
        for file in filter(Path.is_file, earlier.rglob("*")):
            if file.parent.name != "statuses" or file.name.split("-")[0] in tags:
                (here / file.relative_to(earlier.parent)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, here / file.relative_to(earlier.parent))
        return by_tag(rows("data"))

    return start


def tag_of(kind: str) -> str:
    """Give the tag that a kind strikes."""
    return f"t{list(KINDS).index(kind)}"


def by_tag(loaded):
    """What is loaded under each tag, without what differs from run to run."""
    found = {}
    for row in loaded:
        facts = tuple(row[name] for name in ("phone_number", "status", "stop_sms", "status_at"))
        found.setdefault(row["tag"], []).append(facts)
    return {tag: sorted(facts, key=str) for tag, facts in found.items()}


def runs_of(place: str) -> list[tuple[str, dict[str, Any]]]:
    """Give the runs that a place takes: how each is run, and what is expected of each kind in it."""
    runs: dict[tuple[str, str], dict[str, Any]] = {}
    for behaviour in MATRIX.values():
        for kind in behaviour["kinds"] if place in behaviour else ():
            how = behaviour.get("run", SHARED)
            runs.setdefault((how, kind if how == EACH_ALONE else ""), {})[kind] = behaviour[place]
    return [(how, expected) for (how, _), expected in runs.items()]


def exit_code(cell: dict[str, Any]) -> int:
    """Give the exit code of a run with this tag alone."""
    if cell["verdict"] in {"-", "complete"}:
        return {"-": 5, "complete": 4 if cell.get("quarantined") else 0}[cell["verdict"]]
    return 3


def test_every_kind_has_its_expectation():
    """A kind of fault without a line in the matrix, or with two, is found out, and so is an unknown place."""
    listed = Counter(kind for behaviour in MATRIX.values() for kind in behaviour["kinds"])
    assert (listed.keys(), {1}) == (KINDS.keys(), set(listed.values()))
    assert PLACES.keys() == STRIKES.keys()
    assert all(behaviour.keys() <= {"title", "says", "kinds", "run", *PLACES} for behaviour in MATRIX.values())


@pytest.mark.parametrize(
    ("place", "number"), [(place, number) for place in PLACES for number in range(len(runs_of(place)))]
)
def test_faults(serve, load, report, rows, place, number):
    """Whatever fails, wherever: the tag comes to the verdict that is written down, the tag beside it to its rows."""
    how, expected = runs_of(place)[number]
    observed, ended = observe(serve, load, report, rows, place, how, list(expected))
    cells = {kind: {"rows": [], "quarantined": 0, **cell} for kind, cell in expected.items()}
    assert cells == observed
    assert ended == max(map(exit_code, expected.values()), key=[0, 4, 3, 5].index)


def observe(serve, load, report, rows, place, how, kinds):
    """Run with these kinds of fault, and give what becomes of each tag, and the exit code."""
    count, faults_of = STRIKES[place]
    tags = {kind: tag_of(kind) for kind in kinds}
    loaded = load({"sound", *tags.values()})
    sandbox = serve(tags.values(), count, [fault for kind, tag in tags.items() for fault in faults_of(kind, tag)])
    settings = {"SMSPARTNER_TIMEOUT": "1" if how == SHORT_TIMEOUT else "30", "SMSPARTNER_RETRIES": "1"}
    ended, found = report(sandbox, "sound", *tags.values(), "--to", "data", "--refresh", "all", **settings)
    verdicts = {tag["tag"]: tag for tag in found["tags"]}
    asked = Counter(request.tag for request in sandbox.requests)
    now, quarantined = by_tag(rows("data")), Counter(row["tag"] for row in rows("data", "quarantine"))
    if "sound" in verdicts:
        assert (verdicts["sound"]["verdict"], verdicts["sound"]["requests"], asked["sound"]) == ("complete", 2, 2)
        assert now["sound"] == sorted(ROWS[1:10], key=str)
    else:
        assert (ended, now["sound"]) == (5, loaded["sound"])
    observed = {}
    for kind, tag in tags.items():
        row = verdicts.get(tag, {"verdict": "-", "rows_loaded": 0, "rows_quarantined": 0, "requests": asked[tag]})
        new = now.get(tag, []) if now.get(tag) != loaded[tag] else []
        observed[kind] = {
            "verdict": row["verdict"],
            "requests": asked[tag],
            "rows": sorted(ROWS.index(facts) for facts in new),
            "quarantined": quarantined[tag],
        }
        assert (row["requests"], row["rows_quarantined"]) == (asked[tag], quarantined[tag])
        assert row["verdict"] != "complete" or row["rows_loaded"] == len(new)
    return observed, ended
