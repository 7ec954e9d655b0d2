"""Dagster materialises the asset: its retries resume, its checks say what the run has proved."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faults import Campaign, Fault, HostileServer
from smspartner_pipelines.leak_search import file_as_text, find

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).resolve().parent / "scripts" / "dagster_runs.py"
KEY, WRONG_KEY = "k3y+/=&%s3cretOfTests", "wr0ng+/=&%k3yOfTests"
NUMBERS = ("639980001", "639980002")
ROW = {"phoneNumber": f"+33{NUMBERS[0]}", "status": "Delivered", "stopSMS": False, "date": "1517989111"}
WAITING = {"phoneNumber": f"+33{NUMBERS[1]}", "status": "Waiting", "stopSMS": False, "date": ""}
CAMPAIGNS = (
    Campaign.of_rows("ripening", [ROW, WAITING]),
    Campaign.of_rows("late", [ROW]),
    Campaign.of_rows("added", [ROW]),
    Campaign.of_rows("broken", [ROW]),
    Campaign.of_rows("doubtful", [ROW, ROW | {"status": f"lost at +33{NUMBERS[1]}"}]),
    *(Campaign.of_rows(tag, [ROW]) for tag in ("from-sql", "promo-nov", "relance")),
)
FAULTS = (
    Fault("echo_message", tag="late", times=1),
    Fault("echo_html", tag="late", times=1, after=1),
    Fault("echo_not_json", tag="broken"),
)
FAST = {"retries": 0, "backoff": 0, "validate": "contract", "log_level": "debug"}
AGAIN = {**FAST, "refresh": "all"}


def blocks(language: str) -> list[str]:
    """Give the blocks of the page."""
    page = (ROOT / "docs" / "dagster.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.+?)```", page, re.DOTALL)


class Dagster:
    """A home of Dagster, and the facts of what was run in it."""

    def __init__(self, home: Path, python: Path, url: str) -> None:
        self.home = home
        self.python = python
        self.facts: dict[str, dict[str, Any]] = {}
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("SMSPARTNER_", "DAGSTER_"))}
        self.environment = {
            **clean,
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "HOME": str(home),
            "DAGSTER_HOME": str(home),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "SMSPARTNER_API_KEY": KEY,
            "SMSPARTNER_BASE_URL": url,
        }

    def run(self, *command: object, told: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command in Dagster's environment; what it writes is kept beside the rest."""
        ended = subprocess.run(
            list(map(str, command)),
            env=self.environment,
            cwd=self.home,
            input=told,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        with (self.home / "output").open("a", encoding="utf-8") as output:
            output.write(ended.stdout + ended.stderr)
        return ended

    def written(self) -> dict[str, str]:
        """Give all that was written, but for what was loaded."""
        files = (path for path in self.home.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"})
        told = [path for path in files if "data" not in path.relative_to(self.home).parts and path.name != "wrong"]
        return {str(path.relative_to(self.home)): file_as_text(path) for path in told}


def scenarios(home: Path) -> dict[str, dict[str, Any]]:
    """Give what is run, in order: the asset's tags and arguments."""
    to = [str(home / "data")]
    resumed = {"to": to, "options": FAST, "max_retries": 3}
    return {
        "resumed": {"tags": str(home / "tags.txt"), "asset": resumed},
        "again": {"tags": ["ripening", "late", "added"], "asset": {**resumed, "options": {**FAST, "validate": "gx"}}},
        "broken": {"tags": ["added", "broken"], "asset": {"to": to, "options": FAST, "max_retries": 1}},
        "doubted": {"tags": ["doubtful"], "asset": {"to": to, "options": FAST}},
        "refused": {"tags": ["late"], "asset": {"to": to, "options": {**AGAIN, "api_key_file": str(home / "wrong")}}},
        "unreachable": {
            "tags": ["late"],
            "asset": {"to": to, "options": {**AGAIN, "base_url": "http://127.0.0.1:9"}, "max_retries": 1},
        },
        "misspelt": {"tags": ["late"], "asset": {"to": to, "options": {"no_such_option": 1}}},
        "no destination": {"tags": ["late"], "asset": {"to": ["/proc/none"], "options": AGAIN, "max_retries": 1}},
    }


@pytest.fixture(scope="module")
def sandbox() -> Iterator[HostileServer]:
    """A sandbox with faults, one of which does not pass."""
    with HostileServer(CAMPAIGNS, faults=FAULTS, api_key=KEY) as running:
        yield running


@pytest.fixture(scope="module")
def dagster(
    tmp_path_factory: pytest.TempPathFactory, python_of: Callable[[str], Path], sandbox: HostileServer
) -> Dagster:
    """All scenarios have run."""
    made = Dagster(tmp_path_factory.mktemp("dagster"), python_of("dagster"), sandbox.url)
    (made.home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    (made.home / "wrong").write_text(WRONG_KEY, encoding="utf-8")
    (made.home / "tags.txt").write_text("ripening\nlate\n", encoding="utf-8")
    wanted = scenarios(made.home)
    ended = made.run(made.python, SCRIPT, told=json.dumps(list(wanted.values())))
    assert ended.returncode == 0, ended.stderr[-2000:]
    made.facts = dict(zip(wanted, json.loads(ended.stdout.splitlines()[-1]), strict=True))
    return made


def asked(sandbox: HostileServer, tag: str) -> int:
    """Count the requests for a tag."""
    return sum(request.tag == tag and request.key_ok for request in sandbox.requests)


def passed(facts: dict[str, Any]) -> dict[str, bool]:
    """Give the results of the checks."""
    return {name: check["passed"] for name, check in facts["checks"].items()}


def test_a_retry_reads_only_what_is_missing(dagster: Dagster, sandbox: HostileServer) -> None:
    """A tag that fails at first is read again by retries, the others are not; a second run skips settled tags."""
    first, second = dagster.facts["resumed"], dagster.facts["again"]
    assert (first["success"], first["retries"], second["success"], second["retries"]) == (True, 2, True, 0)
    assert asked(sandbox, "ripening") == 2
    assert second["checks"]["every_tag_is_complete"]["facts"]["verdicts"] == {"skipped": 1, "complete": 2}


def test_the_materialisation_tells_what_was_loaded(dagster: Dagster) -> None:
    """Metadata hold rows, rates, verdicts and the id of the run, whose report is with what was loaded."""
    metadata = dagster.facts["again"]["materialised"]["statuses"]
    assert (metadata["rows_loaded"], metadata["delivery_rate"], metadata["waiting"]) == (3, 0.6667, 1)
    assert (metadata["tags_complete"], metadata["tags_skipped"], metadata["exit_code"]) == (2, 1, 0)
    assert metadata["rows_per_second"] > 0
    assert (dagster.home / "data" / "runs" / f"{metadata['run_id']}.json").exists()


def test_validation_is_a_check(dagster: Dagster) -> None:
    """The check of validity carries the statistics of Great Expectations."""
    check = dagster.facts["again"]["checks"]["rows_are_valid"]
    facts = check["facts"]
    assert (check["passed"], facts["validate"], facts["tags"], facts["rows"], facts["failed"]) == (True, "gx", 2, 3, [])
    assert facts["expectations"] >= 10


def test_tags_that_are_not_complete_fail_the_check_and_stop_what_is_downstream(dagster: Dagster) -> None:
    """After the last retry the asset is there with what is loaded; the failed check names the tag, and blocks."""
    facts = dagster.facts["broken"]
    check = facts["checks"]["every_tag_is_complete"]
    assert (facts["success"], facts["retries"], list(facts["materialised"])) == (False, 1, ["statuses"])
    assert (check["passed"], check["severity"]) == (False, "ERROR")
    (missing,) = check["facts"]["not_complete"]
    assert (missing["tag"], missing["verdict"]) == ("broken", "failed")
    assert missing["reason"]


def test_rows_in_quarantine_warn(dagster: Dagster) -> None:
    """Doubted rows are counted by tag in a warning, which stops nothing."""
    facts = dagster.facts["doubted"]
    check = facts["checks"]["nothing_in_quarantine"]
    assert facts["success"]
    assert set(facts["materialised"]) == {"statuses", "downstream"}
    assert (check["passed"], check["severity"], check["facts"]["by_tag"]) == (False, "WARN", {"doubtful": 1})
    assert passed(facts)["every_tag_is_complete"]


@pytest.mark.parametrize(
    ("scenario", "retries", "sentence"),
    [
        ("refused", 0, "exit code 5: "),
        ("misspelt", 0, "No such option"),
        ("no destination", 0, "exit code 2: "),
    ],
)
def test_what_no_retry_can_mend_fails_at_once(dagster: Dagster, scenario: str, retries: int, sentence: str) -> None:
    """A refused key and wrong settings fail the step without retries, in a sentence, and nothing is materialised."""
    facts = dagster.facts[scenario]
    assert (facts["success"], facts["retries"], facts["materialised"]) == (False, retries, {})
    assert sentence in facts["failures"][0]


def test_a_connection_that_fails_is_tried_again(dagster: Dagster) -> None:
    """Without the API the tags are reported as failed after the last retry; what was loaded before stays."""
    facts = dagster.facts["unreachable"]
    assert (facts["success"], facts["retries"], passed(facts)["every_tag_is_complete"]) == (False, 1, False)


def test_the_log_is_the_commands(dagster: Dagster) -> None:
    """Dagster's log of the run holds progress and summary, line by line."""
    said = dagster.facts["again"]["said"]
    assert "tag ripening: complete" in said
    assert any("3 rows loaded into" in line for line in said)


def test_documented_definitions_run_from_the_command_line(dagster: Dagster, sandbox: HostileServer) -> None:
    """The example is the page's first block, and `dagster asset materialize` runs it, also for other tags."""
    example = (ROOT / "docs" / "examples" / "smspartner_definitions.py").read_text(encoding="utf-8")
    assert example == blocks("python")[0]
    for documented in ("/var/lib/smspartner", "/etc/smspartner"):
        example = example.replace(documented, str(dagster.home))
    (dagster.home / "smspartner_definitions.py").write_text(example, encoding="utf-8")
    (command,) = blocks("bash")
    ended = dagster.run("bash", "-c", command)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert (asked(sandbox, "promo-nov"), asked(sandbox, "relance")) == (1, 0)


def test_tags_come_from_a_table_of_campaigns(dagster: Dagster, postgresql: Any) -> None:
    """The documented query of a PostgreSQL table gives the tags that are loaded."""
    old = "select 'old', timestamptz '2020-01-01'"
    postgresql.sql(f"create table campaigns as select 'from-sql' tag, now() sent_at union all {old}")
    code = blocks("python")[1].replace("/var/lib/smspartner/data", str(dagster.home / "from-sql" / "data"))
    (dagster.home / "from_sql.py").write_text(code, encoding="utf-8")
    run = "import dagster, runpy; dagster.materialize([runpy.run_path('from_sql.py')['statuses']])"
    dagster.environment["CAMPAIGNS_DATABASE"] = postgresql.uri
    ended = dagster.run(dagster.python, "-c", run)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert [path.name[:8] for path in (dagster.home / "from-sql" / "data" / "statuses").iterdir()] == ["from-sql"]


def test_a_run_that_is_terminated_ends_in_order(dagster: Dagster) -> None:
    """SIGTERM to Dagster ends the command in order: its last words are in the log, and no process is left."""
    code = "from smspartner_pipelines.dagster_assets import smspartner_asset\n"
    code += f"statuses = smspartner_asset('statuses', tags=['late'], to=['{dagster.home}/held/data'])"
    (dagster.home / "held.py").write_text(code, encoding="utf-8")
    with HostileServer(CAMPAIGNS, latency=30.0, api_key=KEY) as slow:
        command = [dagster.python, "-m", "dagster", "asset", "materialize", "-f", "held.py", "--select", "statuses"]
        environment = {**dagster.environment, "SMSPARTNER_BASE_URL": slow.url}
        with subprocess.Popen(
            command, env=environment, cwd=dagster.home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            assert any("reading 1 tags" in line for line in process.stdout)
            process.terminate()
            said = process.stdout.read()
    assert "exit code 130: interrupted; tags that were loaded stay loaded" in said
    assert process.returncode != 0


def test_neither_keys_nor_numbers_are_kept(dagster: Dagster) -> None:
    """No log, no metadata, nothing in Dagster's databases holds a key or a phone number, whatever has failed."""
    written = dagster.written()
    assert any(name.endswith(".db") for name in written)
    assert find(written, {"key": (KEY, WRONG_KEY), "number": NUMBERS}) == {"key": [], "number": []}
