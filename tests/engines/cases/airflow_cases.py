"""Airflow runs the DAGs as `airflow dags test` does, all in this process; its own database says how they ended."""

from __future__ import annotations

import json
import os
import shlex
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from airflow.sdk.exceptions import AirflowNotFoundException
from faults import Campaign, Fault, HostileServer
from shared import DOCS, HOME, ROW, WAITING, asked, blocks
from smspartner.errors import SettingsError
from smspartner_pipelines.engines.airflow import SmsPartnerHook

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
for conn_id in {connections}:
    smspartner_dag(conn_id, tags=["late"], conn_id=conn_id, options=AGAIN, retries=1, **AT_ONCE)
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
CONNECTIONS = ("in_a_file", "in_database", "wrong_key", "of_another_type", "without_key", "nowhere")
"""Names of connections, and of DAGs that use them."""


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[HostileServer]:
    """An API that the environment leads to, with faults that pass; all DAGs have run, some of them twice."""
    (HOME / "direct.txt").write_text("relance", encoding="utf-8")
    (HOME / "dags").mkdir()
    jobs = JOBS.format(home=HOME, command=COMMAND, connections=CONNECTIONS)
    (HOME / "dags" / "jobs.py").write_text(jobs, encoding="utf-8")
    for number, code in enumerate(blocks("airflow.md", "python")):
        (HOME / "dags" / f"page_{number}.py").write_text(code.replace("minutes=5", "seconds=0"), encoding="utf-8")
    with duckdb.connect(HOME / "campaigns.duckdb") as database:
        old = "select 'old', timestamptz '2020-01-01'"
        database.sql(f"create table campaigns as select 'from-sql' tag, now() sent_at union all {old}")
    with HostileServer(CAMPAIGNS, faults=FAULTS, api_key=os.environ["SMSPARTNER_API_KEY"]) as running:
        os.environ["SMSPARTNER_BASE_URL"] = running.url
        keep_connections(running.url)
        run_all()
        yield running


def keep_connections(url: str) -> None:
    """Keep the key where Airflow looks for connections: in a variable, a file, its database (as users do)."""
    of_type: dict[str, Any] = {"conn_type": "smspartner", "password": os.environ["SMSPARTNER_API_KEY"]}
    in_file = {
        "in_a_file": {**of_type, "host": url},
        "wrong_key": {**of_type, "password": (HOME / "wrong").read_text(encoding="utf-8")},
        "of_another_type": {**of_type, "conn_type": "postgres"},
        "without_key": {"conn_type": "smspartner"},
    }
    (HOME / "connections.json").write_text(json.dumps(in_file), encoding="utf-8")
    os.environ |= {
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(HOME / "connections.json")}),
    }
    airflow("db", "migrate")
    (said,) = blocks("airflow.md", "bash")
    _, variable, _, *add = (word.replace("…", of_type["password"]) for word in shlex.split(said, comments=True))
    name, _, os.environ["AIRFLOW_CONN_SMSPARTNER_DEFAULT"] = variable.partition("=")
    assert name in os.environ
    airflow(*(word.replace("smspartner_default", "in_database") for word in add))


def airflow(*arguments: str) -> None:
    """Run the command `airflow` in this process."""
    from airflow.__main__ import main

    sys.argv = ["airflow", *arguments]
    main()


def run_all() -> None:
    """Run the DAGs one after the other; TAGS of DAG=TAGS go into a file. Connections do without a key elsewhere."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(HOME / "dags")
    assert not bag.import_errors
    for name in RUNS:
        dag_id, _, tags = name.partition("=")
        if tags:
            (HOME / "tags.txt").write_text(tags.replace(",", "\n"), encoding="utf-8")
        bag.dags[dag_id].test()
    del os.environ["SMSPARTNER_API_KEY"]
    for dag_id in (*CONNECTIONS, "sms_statuses", "sms_opt_outs", "sms_from_sql", "sms_and_report"):
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
    return [json.loads(str(one)) for (one,) in query(f"select value from xcom where {where} order by run_id")]


def test_a_retry_reads_only_what_is_missing(server: HostileServer) -> None:
    """A tag that fails at first is read again by retries, the others are not; a second run finds and asks tags anew."""
    assert tasks("resumed")[:2] == [("find_tags", "success", 1), ("load", "success", 2)]
    assert tasks("resumed")[2:] == [("find_tags", "success", 1), ("load", "success", 1)]
    of_others = 1, 3  # DAGs with a connection
    assert (asked(server, "ripening") - of_others[0], asked(server, "late") - of_others[1]) == (2, 3)
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


def test_the_key_comes_from_a_connection() -> None:
    """Whichever of Airflow's backends holds the connection; the worker's environment does not have to hold a key."""
    for dag_id in ("in_a_file", "in_database", "sms_statuses"):
        assert tasks(dag_id) == [("find_tags", "success", 1), ("load", "success", 1)]
    assert returned("in_database")[0]["verdicts"] == {"complete": 1}
    assert returned("sms_statuses")[0]["verdicts"] == {"skipped": 2, "complete": 1}
    assert returned("sms_opt_outs", "opt_outs") == [0]


def test_a_connection_that_gives_no_key_is_named() -> None:
    """A refused key, another type and no password fail for good; a connection that is nowhere is looked for again.

    Where a backend is down, Airflow says no more than that there is no such connection.
    """
    tries = {dag_id: tasks(dag_id)[1] for dag_id in ("wrong_key", "of_another_type", "without_key", "nowhere")}
    assert (tries["wrong_key"], returned("wrong_key")[0]["exit_code"]) == (("load", "failed", 1), 5)
    assert tries["of_another_type"] == tries["without_key"] == ("load", "failed", 1)
    assert tries["nowhere"] == ("load", "failed", 2)
    with pytest.raises(SettingsError, match="of_another_type is of the type postgres; give one of the type smspartner"):
        SmsPartnerHook("of_another_type").get_conn()
    with pytest.raises(SettingsError, match="the connection without_key has no password; give it the API key"):
        SmsPartnerHook("without_key").get_conn()
    with pytest.raises(AirflowNotFoundException, match="The conn_id `nowhere` isn't defined"):
        SmsPartnerHook("nowhere").get_conn()


def test_airflow_knows_the_connection_type() -> None:
    """The provider is listed; the form of a connection asks for the API key and the base URL, and for nothing else."""
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
    from airflow.providers_manager import ProvidersManager

    assert ProvidersManager().providers["smspartner-connector"].data["name"] == "SMS Partner"
    (form,) = (one for one in HookMetaService.hook_meta_data() if one.connection_type == "smspartner")
    fields = form.standard_fields
    assert (form.hook_name, fields.password.title, fields.host.title) == ("SMS Partner", "API key", "Base URL")
    assert [fields.login.hidden, fields.port.hidden, fields.url_schema.hidden] == [True, True, True]


def test_the_hook_tests_its_connection_and_reads() -> None:
    """The hook that Airflow makes for a connection asks the API whether it takes the key, and gives rows as a frame."""
    from airflow.sdk import BaseHook

    hook = BaseHook.get_hook("in_a_file")
    assert isinstance(hook, SmsPartnerHook)
    assert hook.test_connection() == (True, "the API accepts the key")
    assert list(hook.read_statuses(["relance"])["status"]) == ["delivered"]
    accepted, said = SmsPartnerHook("wrong_key").test_connection()
    assert not accepted
    assert "code 10" in said
