"""Airflow runs the DAGs as `airflow dags test` does, all in this process; its own database says how they ended."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from faults import Campaign, Fault, HostileServer
from shared import DOCS, HOME, ROW, WAITING, asked, blocks

EXAMPLE = DOCS / "examples" / "smspartner_dag.py"
COMMAND = str(Path(sys.executable).with_name("smspartner"))
CAMPAIGNS = (
    Campaign.of_rows("ripening", [ROW, WAITING]),
    *(Campaign.of_rows(tag, [ROW]) for tag in ("slow", "late", "added", "promo-nov", "relance", "from-sql")),
)
FAULTS = (
    Fault("echo_message", tag="late", times=1),
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


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[HostileServer]:
    """An API that the environment leads to, with faults that pass; all DAGs have run, some of them twice."""
    (HOME / "direct.txt").write_text("relance", encoding="utf-8")
    (HOME / "dags").mkdir()
    (HOME / "dags" / "jobs.py").write_text(JOBS.format(home=HOME, command=COMMAND), encoding="utf-8")
    for number, code in enumerate(blocks("airflow.md", "python")):
        (HOME / "dags" / f"page_{number}.py").write_text(code.replace("minutes=5", "seconds=0"), encoding="utf-8")
    with duckdb.connect(HOME / "campaigns.duckdb") as database:
        old = "select 'old', timestamptz '2020-01-01'"
        database.sql(f"create table campaigns as select 'from-sql' tag, now() sent_at union all {old}")
    with HostileServer(CAMPAIGNS, faults=FAULTS, api_key=os.environ["SMSPARTNER_API_KEY"]) as running:
        os.environ["SMSPARTNER_BASE_URL"] = running.url
        run_all()
        yield running


def run_all() -> None:
    """Make the database as users make it, and run the DAGs one after the other; TAGS of DAG=TAGS go into a file."""
    from airflow.__main__ import main as airflow

    sys.argv = ["airflow", "db", "migrate"]
    airflow()
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(HOME / "dags")
    assert not bag.import_errors
    for name in RUNS:
        dag_id, _, tags = name.partition("=")
        if tags:
            (HOME / "tags.txt").write_text(tags.replace(",", "\n"), encoding="utf-8")
        bag.dags[dag_id].test()


def query(statement: str) -> list[tuple[Any, ...]]:
    """Ask Airflow's own database."""
    with closing(sqlite3.connect(f"file:{HOME / 'airflow.db'}?mode=ro", uri=True)) as database:
        return database.execute(statement).fetchall()


def tasks(dag_id: str) -> list[tuple[str, str, int]]:
    """Give task, state and number of tries, run by run."""
    order = "order by run_id, task_id"
    return query(f"select task_id, state, try_number from task_instance where dag_id = '{dag_id}' {order}")


def returned(dag_id: str, task_id: str = "load") -> list[Any]:
    """Give what a task has returned, run by run."""
    where = f"dag_id = '{dag_id}' and task_id = '{task_id}'"
    return [json.loads(one) for (one,) in query(f"select value from xcom where {where} order by run_id")]


def test_a_retry_reads_only_what_is_missing(server: HostileServer) -> None:
    """A tag that fails at first is read again by retries, the others are not; a second run finds and asks tags anew."""
    assert tasks("resumed")[:2] == [("find_tags", "success", 1), ("load", "success", 2)]
    assert tasks("resumed")[2:] == [("find_tags", "success", 1), ("load", "success", 1)]
    assert (asked(server, "ripening"), asked(server, "late")) == (2, 3)
    assert returned("resumed", "find_tags") == [["ripening", "late"], ["ripening", "late", "added"]]


def test_what_a_task_returns_counts_up() -> None:
    """XCom gets the counts, verdicts and id of the run, also from a task that failed."""
    summary = returned("resumed")[1]
    assert summary["verdicts"] == {"skipped": 1, "complete": 2}
    assert summary["rows_received"] == summary["rows_loaded"] == 3
    assert summary["run_id"] in {path.stem for path in (HOME / "data" / "runs").iterdir()}
    (failed,) = returned("unreachable")
    assert [(row["tag"], row["verdict"]) for row in failed["not_complete"]] == [("added", "failed")]


def test_a_task_is_tried_again_only_where_that_helps() -> None:
    """A refused key fails for good, tags that are not complete are tried again, and a stopped task says that it was."""
    found = [("find_tags", "success", 1)]
    assert tasks("refused") == [*found, ("load", "failed", 1)]
    assert tasks("unreachable") == [*found, ("load", "failed", 2)]
    assert tasks("stopped") == [("load", "failed", 1)]
    meanings = [returned(dag_id)[0]["exit_code"] for dag_id in ("refused", "unreachable", "stopped")]
    assert meanings == [5, 3, 130]


def test_the_task_takes_every_kind_of_tags_and_templates() -> None:
    """In a DAG of one's own the task reads a file or calls a function itself, and destinations may be templates."""
    assert tasks("direct") == [("from_file", "success", 1), ("from_function", "success", 1)]
    loaded = {path.name.split("-")[0] for path in (HOME / "direct" / "data" / "statuses").iterdir()}
    assert loaded == {"relance", "promo"}


def test_documented_dags_run() -> None:
    """Tags from a query and from another task are loaded; what follows gets the summary; the example is the page's."""
    assert EXAMPLE.read_text(encoding="utf-8") in (DOCS / "airflow.md").read_text(encoding="utf-8")
    assert returned("sms_from_sql", "find_tags") == [["from-sql"]]
    assert returned("sms_from_sql")[0]["verdicts"] == {"complete": 1}
    (said,) = returned("sms_and_report", "report")
    assert said.startswith("2 of 2 rows delivered in run ")
