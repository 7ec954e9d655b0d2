"""Airflow runs the DAG: as `airflow dags test` does, and under a real scheduler."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from faults import Campaign, Fault, HostileServer
from smspartner_pipelines.leak_search import file_as_text, find

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).resolve().parent / "scripts" / "airflow_runs.py"
COMMAND = str(Path(sys.executable).with_name("smspartner"))
KEY, WRONG_KEY = "k3y+/=&%s3cretOfTests", "wr0ng+/=&%k3yOfTests"
NUMBERS = ("639980001", "639980002")
ROW = {"phoneNumber": f"+33{NUMBERS[0]}", "status": "Delivered", "stopSMS": False, "date": "1517989111"}
WAITING = {"phoneNumber": f"+33{NUMBERS[1]}", "status": "Waiting", "stopSMS": False, "date": ""}
CAMPAIGNS = (
    Campaign.of_rows("ripening", [ROW, WAITING]),
    Campaign.of_rows("late", [ROW]),
    Campaign.of_rows("added", [ROW]),
    Campaign.of_rows("doubtful", [ROW, ROW | {"status": f"lost at +33{NUMBERS[1]}"}]),
    Campaign.of_rows("slow", [ROW]),
    *(Campaign.of_rows(tag, [ROW]) for tag in ("held", "promo-nov", "relance", "from-sql")),
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
from smspartner_pipelines.airflow_dag import LoadStatuses, smspartner_dag

HOME = Path("{home}")
FAST = {{"retries": 0, "backoff": 0, "validate": "contract", "log_level": "debug"}}
AT_ONCE = {{"retry_delay": timedelta(0), "to": [str(HOME / "data")]}}
smspartner_dag("resumed", tags=HOME / "tags.txt", options=FAST, retries=2, **AT_ONCE)
AGAIN = {{**FAST, "refresh": "all"}}
smspartner_dag("refused", tags=["late"], options={{**AGAIN, "api_key_file": str(HOME / "wrong")}}, **AT_ONCE)
nowhere = {{**AGAIN, "base_url": "http://127.0.0.1:9"}}
smspartner_dag("unreachable", tags=["added"], options=nowhere, retries=1, **AT_ONCE)
smspartner_dag("doubted", tags=lambda: ["doubtful"], options=FAST, command=["{command}"], **AT_ONCE)
smspartner_dag("misspelt", tags=["late"], options={{"no_such_option": 1}}, **AT_ONCE)
overdue = {{"execution_timeout": timedelta(seconds=3)}}
with DAG("direct", schedule=None):
    to = [str(HOME / "{{{{ dag.dag_id }}}}" / "data")]
    LoadStatuses(task_id="from_file", tags=HOME / "direct.txt", to=to, options=FAST)
    LoadStatuses(task_id="from_function", tags=lambda: ["promo-nov"], to=to, options=FAST)
smspartner_dag("overdue", tags=["slow"], options=FAST, retries=0, default_args=overdue, **AT_ONCE)
"""
RUNS = (
    "resumed=ripening,late",
    "resumed=ripening,late,added",
    "refused",
    "unreachable",
    "doubted",
    "misspelt",
    "direct",
    "overdue",
)
DOCUMENTED = ("sms_from_sql", "sms_and_report")


def blocks(page: str) -> list[str]:
    """Give the Python blocks of a page."""
    return re.findall(r"```python\n(.+?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)


class Airflow:
    """A home of Airflow with DAGs, and what stands in its database."""

    def __init__(self, home: Path, python: Path, url: str) -> None:
        self.home = home
        self.python = python
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("SMSPARTNER_", "AIRFLOW_"))}
        self.environment = {
            **clean,
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "HOME": str(home),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "SMSPARTNER_API_KEY": KEY,
            "SMSPARTNER_BASE_URL": url,
        }

    def write_dag(self, name: str, code: str) -> None:
        """Put a file into `dags/`, with our places for those of the documentation."""
        folder = self.home / "dags"
        folder.mkdir(exist_ok=True)
        places = {"/var/lib/smspartner": str(self.home), "/etc/smspartner": str(self.home)}
        for documented, ours in places.items():
            code = code.replace(documented, ours)
        (folder / name).write_text(code.replace("minutes=5", "seconds=0"), encoding="utf-8")

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask Airflow's own database."""
        with closing(sqlite3.connect(f"file:{self.home / 'airflow.db'}?mode=ro", uri=True, timeout=30)) as database:
            return database.execute(statement).fetchall()

    def tasks(self, dag_id: str) -> list[tuple[str, str, int]]:
        """Give task, state and number of tries, run by run."""
        order = "order by run_id, task_id"
        return self.query(f"select task_id, state, try_number from task_instance where dag_id = '{dag_id}' {order}")

    def returned(self, dag_id: str, task_id: str = "load") -> list[Any]:
        """Give what a task has returned, run by run."""
        found = self.query(
            f"select value from xcom where dag_id = '{dag_id}' and task_id = '{task_id}' order by run_id"
        )
        return [json.loads(value) for (value,) in found]

    def written(self) -> dict[str, str]:
        """Give all that was written, but for what was loaded."""
        files = (
            path for path in self.home.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc", ".duckdb"}
        )
        told = [path for path in files if "data" not in path.relative_to(self.home).parts and path.name != "wrong"]
        return {str(path.relative_to(self.home)): file_as_text(path) for path in told}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[HostileServer]:
    """A sandbox with faults that pass."""
    with HostileServer(CAMPAIGNS, faults=FAULTS, api_key=KEY) as running:
        yield running


@pytest.fixture(scope="module")
def airflow(
    tmp_path_factory: pytest.TempPathFactory, python_of: Callable[[str], Path], sandbox: HostileServer
) -> Airflow:
    """All DAGs have run, some of them twice; the logs say what was written to standard output and error, too."""
    made = Airflow(tmp_path_factory.mktemp("airflow"), python_of("airflow"), sandbox.url)
    (made.home / "wrong").write_text(WRONG_KEY, encoding="utf-8")
    (made.home / "direct.txt").write_text("relance", encoding="utf-8")
    made.write_dag("jobs.py", JOBS.format(home=made.home, command=COMMAND))
    _, from_sql, with_report = blocks("airflow.md")
    made.write_dag("from_sql.py", from_sql)
    made.write_dag("with_report.py", with_report)
    with duckdb.connect(made.home / "campaigns.duckdb") as database:
        database.sql(
            "create table campaigns as select 'from-sql' tag, now() sent_at "
            "union all select 'old', timestamptz '2020-01-01'"
        )
    with (made.home / "stdout").open("wb") as out, (made.home / "stderr").open("wb") as err:
        command = [made.python, SCRIPT, *RUNS, *DOCUMENTED]
        subprocess.run(command, env=made.environment, cwd=made.home, stdout=out, stderr=err, check=False, timeout=200)
    return made


def asked(sandbox: HostileServer, tag: str) -> int:
    """Count the requests for a tag."""
    return sum(request.tag == tag and request.key_ok for request in sandbox.requests)


def test_a_retry_reads_only_what_is_missing(airflow: Airflow, sandbox: HostileServer) -> None:
    """A tag that fails at first is read again by retries, the others are not; a second run skips settled tags."""
    first, second = airflow.tasks("resumed")[:2], airflow.tasks("resumed")[2:]
    assert first == [("find_tags", "success", 1), ("load", "success", 3)]
    assert second == [("find_tags", "success", 1), ("load", "success", 1)]
    assert (asked(sandbox, "ripening"), asked(sandbox, "late")) == (2, 3)


def test_tags_are_found_at_every_run(airflow: Airflow) -> None:
    """A tag that came into the file between two runs is loaded by the second."""
    assert airflow.returned("resumed", "find_tags") == [["ripening", "late"], ["ripening", "late", "added"]]
    assert airflow.returned("resumed")[1]["verdicts"] == {"skipped": 1, "complete": 2}


def test_what_a_task_returns_counts_up(airflow: Airflow) -> None:
    """XCom gets the counts, verdicts and id of the run, also from a task that failed."""
    summary = airflow.returned("resumed")[1]
    assert summary["rows_received"] == summary["rows_loaded"] + summary["rows_quarantined"] == 3
    assert summary["run_id"] in {path.stem for path in (airflow.home / "data" / "runs").iterdir()}
    (failed,) = airflow.returned("unreachable")
    assert [(row["tag"], row["verdict"]) for row in failed["not_complete"]] == [("added", "failed")]
    assert airflow.returned("doubted")[0]["rows_quarantined"] == 1


@pytest.mark.parametrize(
    ("dag_id", "tries"), [("refused", 1), ("doubted", 1), ("misspelt", 1), ("unreachable", 2), ("overdue", 1)]
)
def test_a_task_is_tried_again_only_where_that_helps(airflow: Airflow, dag_id: str, tries: int) -> None:
    """A refused key, wrong settings and doubted rows fail at once; a failed connection is tried again, then fails."""
    assert airflow.tasks(dag_id) == [("find_tags", "success", 1), ("load", "failed", tries)]


def test_the_task_takes_every_kind_of_tags_and_templates(airflow: Airflow) -> None:
    """In a DAG of one's own the task reads a file or calls a function itself, and its places may be templates."""
    assert airflow.tasks("direct") == [("from_file", "success", 1), ("from_function", "success", 1)]
    loaded = {path.name.split("-")[0] for path in (airflow.home / "direct" / "data" / "statuses").iterdir()}
    assert loaded == {"relance", "promo"}


def test_failures_say_why(airflow: Airflow) -> None:
    """The log of a failed task holds one sentence with exit code and reason."""
    log = (airflow.home / "stdout").read_text(encoding="utf-8") + (airflow.home / "stderr").read_text(encoding="utf-8")
    for told in (
        "AirflowFailException: exit code 5: ",
        "AirflowFailException: exit code 2: usage or settings are wrong; nothing was requested; error: No such option",
        "AirflowFailException: exit code 4: all tags loaded, but rows are in quarantine",
        "AirflowException: exit code 3: some tags are incomplete, unstable, shrunk or failed; the others are loaded",
        "interrupted",
    ):
        assert told in log


def test_documented_dags_run(airflow: Airflow) -> None:
    """Tags from a query and from another task are loaded, and what follows gets the summary."""
    assert airflow.returned("sms_from_sql", "find_tags") == [["from-sql"]]
    assert airflow.returned("sms_from_sql")[0]["verdicts"] == {"complete": 1}
    (told,) = airflow.returned("sms_and_report", "report")
    assert told.startswith("2 of 2 rows delivered in run ")


def test_the_example_is_the_documented_one() -> None:
    """The file for `dags/` is the one that the page shows."""
    assert (ROOT / "docs" / "examples" / "smspartner_dag.py").read_text(encoding="utf-8") == blocks("airflow.md")[0]


@pytest.fixture
def scheduler(airflow: Airflow) -> Iterator[Airflow]:
    """Airflow's own processes run: scheduler with its local executor, DAG processor, API server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    airflow.environment |= {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__API_AUTH__JWT_SECRET": "of-these-tests-alone-" * 4,
    }
    with ExitStack() as running:
        for component in ("api-server", "scheduler", "dag-processor"):
            log = running.enter_context((airflow.home / f"{component}.log").open("wb"))
            process = subprocess.Popen(
                [airflow.python, "-m", "airflow", component],
                env=airflow.environment,
                cwd=airflow.home,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            running.callback(_end, process)
        yield airflow


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a component and all that it has started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(what: str, happened: Callable[[], bool]) -> None:
    """Look until something has happened; it is a failure if it does not."""
    deadline = time.monotonic() + 180
    while not happened():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.05)


def worker_of(command: str) -> int | None:
    """Give the process that has started the command, which must be a child of Airflow's."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and command in _text_of(folder / "cmdline"):
            return int(_text_of(folder / "stat").rpartition(")")[2].split()[1])
    return None


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # it has ended meanwhile
        return ""


def first_log(airflow: Airflow) -> str:
    """Give the log of the first try of the example's task."""
    return "".join(map(_text_of, airflow.home.glob("logs/dag_id=sms_statuses/*/task_id=load/attempt=1.log")))


def test_a_scheduler_runs_the_example_and_a_stopped_worker_resumes(scheduler: Airflow, sandbox: HostileServer) -> None:
    """Under a scheduler, SIGTERM to the worker ends the command in order, and the retry reads what is missing."""
    sandbox.forget_requests()
    sandbox.faults.add(Fault("slow", tag="held", seconds=3600, times=1))
    (scheduler.home / "tags.txt").write_text("ripening\nheld\n", encoding="utf-8")
    example = blocks("airflow.md")[0].replace("@hourly", "@once")
    to = str(scheduler.home / "scheduled" / "data")
    scheduler.write_dag("example.py", example.replace("/var/lib/smspartner/data", to))
    wait_for("reading", lambda: asked(sandbox, "held") == 1 and "tag ripening: complete" in first_log(scheduler))
    worker = worker_of(f"--to={to}")
    assert worker is not None
    os.kill(worker, signal.SIGTERM)
    ended = "select count(*) from dag_run where dag_id = 'sms_statuses' and state in ('success', 'failed')"
    wait_for("the end of the DAG", lambda: scheduler.query(ended) == [(1,)])
    assert scheduler.tasks("sms_statuses") == [("find_tags", "success", 1), ("load", "success", 2)]
    assert (asked(sandbox, "ripening"), asked(sandbox, "held")) == (1, 2)
    assert scheduler.returned("sms_statuses")[0]["verdicts"] == {"skipped": 1, "complete": 1}
    assert "exit code 130: interrupted" in first_log(scheduler)
    assert nothing_leaked(scheduler)


def nothing_leaked(airflow: Airflow) -> bool:
    """Tell whether no file but the tables holds a key or a number."""
    written = airflow.written()
    assert {"airflow.db", "stdout"} <= set(written)
    found = find(written, {"key": (KEY, WRONG_KEY), "number": NUMBERS})
    assert found == {"key": [], "number": []}
    return True


def test_neither_keys_nor_numbers_are_kept(airflow: Airflow) -> None:
    """No log, no XCom, nothing in the metadata database holds a key or a phone number, whatever has failed."""
    assert nothing_leaked(airflow)
