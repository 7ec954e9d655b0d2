"""Dagster materialises the asset, in one process: its retries resume, its checks say what the run has proved."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from adbc_driver_postgresql import dbapi
from faults import Campaign, Fault, HostileServer

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "smspartner_definitions.py"
KEY, WRONG_KEY = "k3y+/=&%s3cretOfTests", "wr0ng+/=&%k3yOfTests"
ROW = {"phoneNumber": "+33639980001", "status": "Delivered", "stopSMS": False, "date": "1517989111"}
WAITING = {"phoneNumber": "+33639980002", "status": "Waiting", "stopSMS": False, "date": ""}
CAMPAIGNS = (
    Campaign.of_rows("ripening", [ROW, WAITING]),
    Campaign.of_rows("odd", [ROW, ROW | {"status": "lost at +33639980002"}]),
    *(Campaign.of_rows(tag, [ROW]) for tag in ("late", "later", "added", "broken", "from-sql", "promo-nov", "relance")),
)
FAULTS = (
    Fault("echo_message", tag="late", times=1),
    Fault("echo_html", tag="late", times=1, after=1),
    Fault("echo_message", tag="later", times=1),
    Fault("echo_not_json", tag="broken"),
)
FAST = {"retries": 0, "backoff": 0, "validate": "contract", "log_level": "debug"}
AGAIN = {**FAST, "refresh": "all"}


def scenarios(home: Path, command: str) -> dict[str, dict[str, Any]]:
    """Give what is run, in order: the asset's tags and arguments."""
    to = [str(home / "data")]
    once: dict[str, Any] = {"to": to, "options": FAST, "max_retries": 1}
    return {
        "resumed": {"tags": str(home / "tags.txt"), "asset": {**once, "max_retries": 3}},
        "again": {"tags": ["ripening", "late", "added"], "asset": {**once, "options": {**FAST, "validate": "gx"}}},
        "broken": {"tags": ["added", "broken"], "asset": once},
        "quarantined": {"tags": ["odd", "later"], "asset": once},
        "refused": {"tags": ["late"], "asset": {**once, "options": {**AGAIN, "api_key_file": str(home / "wrong")}}},
        "no tags": {"tags": [], "asset": once},
        "example": {"command": command},
        "from a table": {"file": "page_1.py"},
    }


class Dagster:
    """The facts of what was run, and all that it said."""

    def __init__(self, home: Path, process: subprocess.CompletedProcess[str], names: list[str]) -> None:
        assert process.returncode == 0, process.stderr[-5000:]
        self.home = home
        self.texts = {"stderr": process.stderr, "stdout": process.stdout}
        self.facts = dict(zip(names, json.loads(process.stdout.splitlines()[-1]), strict=True))


@pytest.fixture(scope="module")
def server() -> Iterator[HostileServer]:
    """An API with faults, one of which does not pass."""
    with HostileServer(CAMPAIGNS, faults=FAULTS, api_key=KEY) as running:
        yield running


@pytest.fixture(scope="module")
def dagster(
    tmp_path_factory: pytest.TempPathFactory,
    engine: Callable[..., Any],
    blocks: Callable[..., list[str]],
    postgresql_server: str,
    server: HostileServer,
) -> Dagster:
    """All scenarios have run."""
    home = tmp_path_factory.mktemp("dagster")
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    (home / "wrong").write_text(WRONG_KEY, encoding="utf-8")
    (home / "tags.txt").write_text("ripening\nlate\n", encoding="utf-8")
    for number, code in enumerate(blocks("dagster.md", "python")):
        ours = re.sub("/(var/lib|etc)/smspartner", str(home), code)
        (home / ("page_1.py" if number else "smspartner_definitions.py")).write_text(ours, encoding="utf-8")
    with dbapi.connect(postgresql_server, autocommit=True) as database, database.cursor() as cursor:
        old = "select 'old', timestamptz '2020-01-01'"
        cursor.execute(f"create table campaigns as select 'from-sql' tag, now() sent_at union all {old}")
    settings = {"DAGSTER_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "1", "CAMPAIGNS_DATABASE": postgresql_server}
    settings |= {"SMSPARTNER_API_KEY": KEY, "SMSPARTNER_BASE_URL": server.url, "SMSPARTNER_VALIDATE": "contract"}
    wanted = scenarios(home, *blocks("dagster.md", "bash"))
    (home / "scenarios.json").write_text(json.dumps(list(wanted.values())), encoding="utf-8")
    return Dagster(home, engine("dagster", home, "dagster_runs.py", home / "scenarios.json", **settings), list(wanted))


def asked(server: HostileServer, tag: str) -> int:
    """Count the requests for a tag."""
    return sum(request.tag == tag and request.key_ok for request in server.requests)


def test_a_retry_reads_only_what_is_missing(dagster: Dagster, server: HostileServer) -> None:
    """A tag that fails at first is read again by retries, the others are not."""
    first, second = dagster.facts["resumed"], dagster.facts["again"]
    assert (first["success"], first["retries"], second["success"], second["retries"]) == (True, 2, True, 0)
    assert asked(server, "ripening") == 2
    assert second["checks"]["every_tag_is_complete"]["facts"]["verdicts"] == {"skipped": 1, "complete": 2}


def test_the_materialisation_says_what_was_loaded(dagster: Dagster) -> None:
    """Metadata hold rows, verdicts and the id of the run, whose report is with what was loaded."""
    metadata = dagster.facts["again"]["materialised"]["statuses"]
    assert (metadata["rows_loaded"], metadata["waiting"], metadata["exit_code"]) == (3, 1, 0)
    assert (metadata["tags_complete"], metadata["tags_skipped"]) == (2, 1)
    assert metadata["rows_per_second"] > 0
    assert (dagster.home / "data" / "runs" / f"{metadata['run_id']}.json").exists()


def test_validation_is_a_check(dagster: Dagster) -> None:
    """The check of validity carries the statistics of Great Expectations."""
    check = dagster.facts["again"]["checks"]["rows_are_valid"]
    facts = check["facts"]
    assert (check["passed"], facts["validate"], facts["tags"], facts["rows"], facts["failed"]) == (True, "gx", 2, 3, [])


def test_tags_that_are_not_complete_fail_the_check_and_stop_what_is_downstream(dagster: Dagster) -> None:
    """After the last retry the asset is there with what is loaded; the failed check names the tag, and blocks."""
    facts = dagster.facts["broken"]
    check = facts["checks"]["every_tag_is_complete"]
    assert (facts["success"], facts["retries"], list(facts["materialised"])) == (False, 1, ["statuses"])
    assert (check["passed"], check["severity"]) == (False, "ERROR")
    (missing,) = check["facts"]["not_complete"]
    assert (missing["tag"], missing["verdict"]) == ("broken", "failed")


def test_rows_in_quarantine_warn_also_after_a_retry(dagster: Dagster, server: HostileServer) -> None:
    """Rows that are not valid are counted by tag in a warning, also where a retry skips their tag."""
    facts = dagster.facts["quarantined"]
    check = facts["checks"]["nothing_in_quarantine"]
    assert (facts["success"], facts["retries"], asked(server, "odd")) == (True, 1, 1)
    assert set(facts["materialised"]) == {"statuses", "downstream"}
    assert (check["passed"], check["severity"], check["facts"]["by_tag"]) == (False, "WARN", {"odd": 1})
    assert facts["checks"]["every_tag_is_complete"]["passed"]


@pytest.mark.parametrize(("scenario", "sentence"), [("refused", "exit code 5: "), ("no tags", "no tag was given")])
def test_what_no_retry_changes_fails_at_once(dagster: Dagster, scenario: str, sentence: str) -> None:
    """A refused key and wrong settings fail the step without retries, in a sentence, and nothing is materialised."""
    facts = dagster.facts[scenario]
    assert (facts["success"], facts["retries"], facts["materialised"]) == (False, 0, {})
    assert sentence in facts["failures"][0]


def test_the_log_is_the_commands(dagster: Dagster) -> None:
    """Dagster's log of the run holds progress and summary, line by line."""
    said = dagster.facts["again"]["said"]
    assert "tag ripening: complete" in said
    assert any("3 rows loaded into" in line for line in said)


def test_documented_definitions_run(dagster: Dagster, server: HostileServer, blocks: Callable[..., list[str]]) -> None:
    """The example is the page's first block and loads the tags of one run; tags come from a table of campaigns."""
    assert EXAMPLE.read_text(encoding="utf-8") == blocks("dagster.md", "python")[0]
    assert dagster.facts["example"] == {"materialised": "by the command"}
    assert (asked(server, "promo-nov"), asked(server, "relance")) == (1, 0)
    assert dagster.facts["from a table"]["materialised"]["statuses"]["tags_complete"] == 1
    assert asked(server, "from-sql") == 1


def test_neither_keys_nor_numbers_are_kept(dagster: Dagster, leaks: Callable[..., list[str]]) -> None:
    """No log, no metadata, nothing in Dagster's databases holds a key or a phone number, also after failures."""
    assert any(dagster.home.rglob("*.db"))
    assert leaks(dagster.home, dagster.texts, KEY, WRONG_KEY, without=r"/data/|/wrong$|\.pyc?$") == []
