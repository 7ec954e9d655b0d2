"""Airflow runs the DAGs as `airflow dags test` does, all in one process; its own database says how they ended."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from faults import Campaign, Fault, HostileServer

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "smspartner_dag.py"
COMMAND = str(Path(sys.executable).with_name("smspartner"))
KEY, WRONG_KEY = "k3y+/=&%s3cretOfTests", "wr0ng+/=&%k3yOfTests"
ROW = {"phoneNumber": "+33639980001", "status": "Delivered", "stopSMS": False, "date": "1517989111"}
WAITING = {"phoneNumber": "+33639980002", "status": "Waiting", "stopSMS": False, "date": ""}
CAMPAIGNS = (
    Campaign.of_rows("ripening", [ROW, WAITING]),
    Campaign.of_rows("slow", [ROW]),
    *(Campaign.of_rows(tag, [ROW]) for tag in ("late", "added", "promo-nov", "relance", "from-sql")),
)
FAULTS = (
    Fault("echo_message", tag="late", times=1),
    Fault("echo_html", tag="late", times=1, after=1),
    Fault("slow", tag="slow", seconds=3600),
)
JOBS = """
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG
from smspartner_pipelines.engines.airflow import LoadStatuses, smspartner_dag

HOME = Path("{home}")
FAST = {{"retries": 0, "backoff": 0, "validate": "contract", "log_level": "debug"}}
AT_ONCE = {{"retry_delay": timedelta(0), "to": [str(HOME / "data")]}}
smspartner_dag("resumed", tags=HOME / "tags.txt", options=FAST, retries=2, **AT_ONCE)
AGAIN = {{**FAST, "refresh": "all"}}
smspartner_dag("refused", tags=["late"], options={{**AGAIN, "api_key_file": str(HOME / "wrong")}}, **AT_ONCE)
nowhere = {{**AGAIN, "base_url": "http://127.0.0.1:9"}}
smspartner_dag("unreachable", tags=["added"], options=nowhere, retries=1, command=["{command}"], **AT_ONCE)
with DAG("direct", schedule=None):
    to = [str(HOME / "{{{{ dag.dag_id }}}}" / "data")]
    LoadStatuses(task_id="from_file", tags=HOME / "direct.txt", to=to, options=FAST)
    LoadStatuses(task_id="from_function", tags=lambda: ["promo-nov"], to=to, options=FAST)

class Stopped(LoadStatuses):
    @property
    def log(self):
        self.on_kill()  # as a worker does that is told to stop: the command's first line comes by here
        return super().log

with DAG("stopped", schedule=None):
    Stopped(task_id="load", tags=["slow"], to=[str(HOME / "stopped")], options=FAST)
"""
RUNS = ("resumed=ripening,late", "resumed=ripening,late,added", "refused", "unreachable", "direct", "stopped")
RUNS += ("sms_from_sql", "sms_and_report")


class Airflow:
    """What Airflow has written: its database, and all that it said."""

    def __init__(self, home: Path, process: subprocess.CompletedProcess[str]) -> None:
        self.home = home
        self.texts = {"stdout": process.stdout, "stderr": process.stderr}
        assert process.returncode == 0, process.stderr[-5000:]

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask Airflow's own database."""
        with closing(sqlite3.connect(f"file:{self.home / 'airflow.db'}?mode=ro", uri=True)) as database:
            return database.execute(statement).fetchall()

    def tasks(self, dag_id: str) -> list[tuple[str, str, int]]:
        """Give task, state and number of tries, run by run."""
        order = "order by run_id, task_id"
        return self.query(f"select task_id, state, try_number from task_instance where dag_id = '{dag_id}' {order}")

    def returned(self, dag_id: str, task_id: str = "load") -> list[Any]:
        """Give what a task has returned, run by run."""
        where = f"dag_id = '{dag_id}' and task_id = '{task_id}'"
        return [json.loads(one) for (one,) in self.query(f"select value from xcom where {where} order by run_id")]


@pytest.fixture(scope="module")
def server() -> Iterator[HostileServer]:
    """An API with faults that pass."""
    with HostileServer(CAMPAIGNS, faults=FAULTS, api_key=KEY) as running:
        yield running


@pytest.fixture(scope="module")
def airflow(
    tmp_path_factory: pytest.TempPathFactory,
    engine: Callable[..., Any],
    blocks: Callable[..., list[str]],
    server: HostileServer,
) -> Airflow:
    """All DAGs have run, some of them twice."""
    home = tmp_path_factory.mktemp("airflow")
    (home / "wrong").write_text(WRONG_KEY, encoding="utf-8")
    (home / "direct.txt").write_text("relance", encoding="utf-8")
    (home / "dags").mkdir()
    (home / "dags" / "jobs.py").write_text(JOBS.format(home=home, command=COMMAND), encoding="utf-8")
    for number, code in enumerate(blocks("airflow.md", "python")):
        ours = re.sub("/(var/lib|etc)/smspartner", str(home), code)
        (home / "dags" / f"page_{number}.py").write_text(ours.replace("minutes=5", "seconds=0"), encoding="utf-8")
    with duckdb.connect(home / "campaigns.duckdb") as database:
        old = "select 'old', timestamptz '2020-01-01'"
        database.sql(f"create table campaigns as select 'from-sql' tag, now() sent_at union all {old}")
    settings = {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    settings |= {"SMSPARTNER_API_KEY": KEY, "SMSPARTNER_BASE_URL": server.url, "SMSPARTNER_VALIDATE": "contract"}
    return Airflow(home, engine("airflow", home, "airflow_runs.py", *RUNS, **settings))


def asked(server: HostileServer, tag: str) -> int:
    """Count the requests for a tag."""
    return sum(request.tag == tag and request.key_ok for request in server.requests)


def test_a_retry_reads_only_what_is_missing(airflow: Airflow, server: HostileServer) -> None:
    """A tag that fails at first is read again by retries, the others are not; a second run asks settled tags again."""
    first, second = airflow.tasks("resumed")[:2], airflow.tasks("resumed")[2:]
    assert first == [("find_tags", "success", 1), ("load", "success", 3)]
    assert second == [("find_tags", "success", 1), ("load", "success", 1)]
    assert (asked(server, "ripening"), asked(server, "late")) == (2, 4)


def test_tags_are_found_at_every_run(airflow: Airflow) -> None:
    """A tag that came into the file between two runs is loaded by the second."""
    assert airflow.returned("resumed", "find_tags") == [["ripening", "late"], ["ripening", "late", "added"]]
    assert airflow.returned("resumed")[1]["verdicts"] == {"skipped": 1, "complete": 2}


def test_what_a_task_returns_counts_up(airflow: Airflow) -> None:
    """XCom gets the counts, verdicts and id of the run, also from a task that failed."""
    summary = airflow.returned("resumed")[1]
    assert summary["rows_received"] == summary["rows_loaded"] == 3
    assert summary["run_id"] in {path.stem for path in (airflow.home / "data" / "runs").iterdir()}
    (failed,) = airflow.returned("unreachable")
    assert [(row["tag"], row["verdict"]) for row in failed["not_complete"]] == [("added", "failed")]


def test_a_task_is_tried_again_only_where_that_helps(airflow: Airflow) -> None:
    """A refused key fails for good, tags that are not complete are tried again; the log says why."""
    said = airflow.texts["stdout"] + airflow.texts["stderr"]
    for dag_id, tries, sentence in (
        ("refused", 1, "AirflowFailException: exit code 5: the API answered code 10"),
        ("unreachable", 2, "AirflowException: exit code 3: some tags are incomplete, unstable, shrunk or failed"),
    ):
        assert airflow.tasks(dag_id) == [("find_tags", "success", 1), ("load", "failed", tries)]
        assert sentence in said


def test_a_stopped_task_ends_in_order(airflow: Airflow) -> None:
    """A worker that is told to stop asks the command to end, which says that it was interrupted."""
    assert airflow.tasks("stopped") == [("load", "failed", 1)]
    assert "AirflowException: exit code 130: " in airflow.texts["stdout"] + airflow.texts["stderr"]


def test_the_task_takes_every_kind_of_tags_and_templates(airflow: Airflow) -> None:
    """In a DAG of one's own the task reads a file or calls a function itself, and destinations may be templates."""
    assert airflow.tasks("direct") == [("from_file", "success", 1), ("from_function", "success", 1)]
    loaded = {path.name.split("-")[0] for path in (airflow.home / "direct" / "data" / "statuses").iterdir()}
    assert loaded == {"relance", "promo"}


def test_documented_dags_run(airflow: Airflow, blocks: Callable[..., list[str]]) -> None:
    """Tags from a query and from another task are loaded; what follows gets the summary; the example is the page's."""
    assert EXAMPLE.read_text(encoding="utf-8") == blocks("airflow.md", "python")[0]
    assert airflow.returned("sms_from_sql", "find_tags") == [["from-sql"]]
    assert airflow.returned("sms_from_sql")[0]["verdicts"] == {"complete": 1}
    (said,) = airflow.returned("sms_and_report", "report")
    assert said.startswith("2 of 2 rows delivered in run ")


def test_neither_keys_nor_numbers_are_kept(airflow: Airflow, leaks: Callable[..., list[str]]) -> None:
    """No log, no XCom, nothing in the metadata database holds a key or a phone number, also after failures."""
    not_its = r"/data/|/wrong$|\.pyc?$|\.duckdb$"
    assert leaks(airflow.home, airflow.texts, KEY, WRONG_KEY, without=not_its) == []
