"""Every fault the sandbox can inject, at every place it can strike: verdict, exit code, requests, rows."""

import shutil
import tomllib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from faults import KINDS, Campaign, Fault

MATRIX = tomllib.loads(Path(__file__).with_name("fault_matrix.toml").read_text(encoding="utf-8"))
OPTIONS, PLACES = MATRIX.pop("options"), MATRIX.pop("places")
BEHAVIOUR = {kind: behaviour for behaviour in MATRIX.values() for kind in behaviour["kinds"]}
STRIKES = {
    "first": lambda kind, **seconds: [Fault(kind, "struck", page=1, **seconds)],
    "later": lambda kind, **seconds: [Fault(kind, "struck", page=2, **seconds)],
    "retry": lambda kind, **seconds: [
        Fault("server_error", "struck", page=2, times=1),
        Fault(kind, "struck", page=2, after=1, **seconds),
    ],
    "once": lambda kind, **seconds: [Fault(kind, "struck", page=2, times=1, **seconds)],
    "every": lambda kind, **seconds: [Fault(kind, "struck", **seconds)],
}
TAGS = ("sound", "struck")
FIRST, SECOND = datetime(2018, 2, 7, 7, 38, 31, tzinfo=UTC), datetime(2018, 2, 7, 7, 38, 21, tzinfo=UTC)
ROWS = [
    ("+33699000001", "waiting", False, None),  # the newcomer of `one_in_one_out`
    ("+33639980001", "delivered", False, FIRST),
    ("+33639980002", "delivered", True, FIRST),
    ("+33639980003", "not_delivered", False, None),
    ("+33639980004", "ko", False, None),
    ("+33639980005", "delivered", False, SECOND),
    ("+33639980006", "waiting", False, None),
    ("+33639980007", "delivered", False, FIRST),
    ("+33639980008", "delivered", False, FIRST),
    ("+33639980009", "delivered", False, FIRST),
]
"""The rows as they are loaded; the matrix names them by their places here."""


@pytest.fixture
def serve(start_sandbox, api_row):
    """Serve the tags `struck` and `sound`: nine rows on a page of seven and one of two."""
    rows = [
        api_row(1),
        api_row(2, stopSMS=True),
        api_row(3, status="Not delivered", date=""),
        api_row(4, status="Ko", date=""),
        api_row(5, date="1517989101"),
        api_row(6, status="Waiting", date=""),
        *map(api_row, (7, 8, 9)),
    ]
    return lambda faults: start_sandbox([Campaign.of_rows(tag, rows) for tag in TAGS], faults=faults, page_size=7)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """Where the dataset is kept that all cases start with, once the first of them made it."""
    return tmp_path_factory.mktemp("earlier") / "data"


@pytest.fixture
def loaded(earlier, start_sandbox, report, rows, api_row, here):  # noqa: PLR0917
    """Start with a dataset of the same numbers, all still waiting; give its rows."""
    if not earlier.exists():
        waiting = [api_row(number, status="Waiting", date="") for number in range(1, 10)]
        sandbox = start_sandbox([Campaign.of_rows(tag, waiting) for tag in TAGS])
        assert report(sandbox, *TAGS, "--to", "data")[0] == 0
        shutil.copytree(here / "data", earlier)
    shutil.copytree(earlier, here / "data", dirs_exist_ok=True)
    return rows("data")


def test_every_kind_has_its_expectation():
    """A kind of fault without a line in the matrix, or with two, is found out, and so is a place left out."""
    listed = Counter(kind for behaviour in MATRIX.values() for kind in behaviour["kinds"])
    assert (listed.keys(), {1}) == (KINDS.keys(), set(listed.values()))
    assert all({*PLACES} - {"every"} <= behaviour.keys() for behaviour in MATRIX.values())
    assert PLACES.keys() == STRIKES.keys()


@pytest.mark.parametrize(
    ("kind", "place"),
    [(kind, place) for kind, behaviour in BEHAVIOUR.items() for place in PLACES if place in behaviour],
)
def test_fault(serve, loaded, report, rows, kind, place):  # noqa: PLR0917
    """Whatever fails, wherever: the tag comes to the verdict that is written down, the tag beside it to its rows."""
    expected = {"rows": [], "quarantined": 0, **BEHAVIOUR[kind][place]}
    options = dict(OPTIONS.get(kind, {}))
    environment = {"SMSPARTNER_TIMEOUT": options.pop("timeout", "30"), "SMSPARTNER_RETRIES": "1"}
    sandbox = serve(STRIKES[place](kind, **options))
    ended, found = report(sandbox, *TAGS, "--to", "data", "--refresh", "all", "--concurrency", "1", **environment)

    told = {tag["tag"]: tag for tag in found["tags"]}
    struck = told.get("struck", {"verdict": "-", "rows_loaded": 0, "rows_quarantined": 0})
    asked = Counter(request.tag for request in sandbox.requests)
    assert (expected["verdict"], expected["exit"], expected["requests"]) == (struck["verdict"], ended, asked["struck"])
    assert (len(expected["rows"]), expected["quarantined"]) == (struck["rows_loaded"], struck["rows_quarantined"])
    assert struck.get("requests", asked["struck"]) == asked["struck"]
    assert len(rows("data", "quarantine")) == expected["quarantined"]

    now = by_tag(rows("data"))
    assert now["struck"] == (sorted(ROWS[number] for number in expected["rows"]) or by_tag(loaded)["struck"])
    if "sound" in told:
        assert (told["sound"]["verdict"], told["sound"]["requests"], asked["sound"]) == ("complete", 2, 2)
    else:
        assert expected["verdict"] == "-"
    assert now["sound"] == (ROWS[1:] if "sound" in told else by_tag(loaded)["sound"])


def by_tag(loaded):
    """What is loaded under each tag, without what differs from run to run."""
    names = ("phone_number", "status", "stop_sms", "status_at")
    return {tag: sorted(tuple(row[name] for name in names) for row in loaded if row["tag"] == tag) for tag in TAGS}
