"""Spark: tags read on its executors, on one machine and on a cluster, a worker of which dies."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from smspartner.errors import SettingsError
from smspartner_pipelines.leak_search import find
from smspartner_pipelines.spark.options import Staging, read_options, write_options

HERE = Path(__file__).resolve().parent
ENGINES = Path(os.environ.get("SMSPARTNER_TEST_ENGINES", HERE.parents[1] / "build" / "engines"))
KEY = "s3cret/key+é&1"
PHONE_KEY = "a phone key for these tests"
OF_THE_RUN = ["run_id", "extracted_at"]

Facts = dict[str, Any]


class Ran:
    """A script that ran: the facts it found, what it left in its directory, and everything that was told."""

    def __init__(self, process: subprocess.CompletedProcess[str], directory: Path) -> None:
        assert process.returncode == 0, process.stderr[-20_000:]  # the JVM logs after the traceback
        self.directory = directory
        self.facts: Facts = json.loads((directory / "facts.json").read_text(encoding="utf-8"))
        self.told = {"stdout": process.stdout, "stderr": process.stderr}

    def add_files(self, folder: Path, pattern: str) -> None:
        """Count files among what was told."""
        found = {str(path): path.read_text(errors="replace") for path in folder.rglob(pattern) if path.is_file()}
        assert found
        self.told.update(found)


@pytest.fixture(scope="module")
def local(engine_in: Callable[..., subprocess.CompletedProcess[str]], tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """What Spark does on one machine, found out once."""
    directory = tmp_path_factory.mktemp("local")
    secrets = {"SMSPARTNER_API_KEY": KEY, "SMSPARTNER_PHONE_KEY": PHONE_KEY}
    ran = Ran(engine_in(directory, "spark", "spark_local.py", directory, **secrets), directory)
    ran.add_files(directory / "events", "*")
    return ran


@pytest.fixture(scope="module")
def cluster(
    engine_in: Callable[..., subprocess.CompletedProcess[str]], tmp_path_factory: pytest.TempPathFactory
) -> Ran:
    """What a run on a cluster comes to, one of whose two workers is killed."""
    if not (ENGINES / "spark").exists():
        pytest.skip("needs the environment that `python tests/engines/install.py spark` makes")
    directory = tmp_path_factory.mktemp("cluster")
    key_file = directory / "key"
    key_file.write_text(KEY, encoding="utf-8")
    key_file.chmod(0o600)
    command = [sys.executable, HERE.parent / "servers" / "spark_cluster.py", ENGINES / "spark", directory]
    environment = {**os.environ, "SMSPARTNER_API_KEY_FILE": str(key_file)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        said = json.loads(server.stdout.readline())
        process = engine_in(directory, "spark", "spark_cluster.py", said["master"], said["workers"][0], directory)
        server.stdin.close()
    ran = Ran(process, directory)
    for folder, pattern in ((directory, "*.log"), (directory / "events", "*")):
        ran.add_files(folder, pattern)
    for name in ("one", "two"):
        ran.add_files(directory / f"work-{name}", "std*")
    return ran


def rows(path: Path, without: list[str] = OF_THE_RUN) -> list[dict[str, Any]]:
    """Read rows of statuses or quarantine in an order of their own."""
    table = pq.read_table(path).drop_columns(without)
    keys = [name for name in ("tag", "phone_number", "occurrence", "page", "position") if name in table.column_names]
    plain = table.cast(pa.schema([(one.name, _plain(one.type)) for one in table.schema]))
    return plain.sort_by([(name, "ascending") for name in keys]).to_pylist()


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def numbers_told(told: dict[str, str], numbers: set[str]) -> set[str]:
    """Give the phone numbers that stand in texts."""
    digits = {number.lstrip("+") for number in numbers}
    return {run for text in told.values() for run in re.findall(r"[0-9]{9,}", text)} & digits


@pytest.mark.parametrize("name", ["plain", "hashed"])
def test_spark_reads_what_the_command_line_loads(local: Ran, name: str) -> None:
    """The rows are the same whoever reads them, in every column but the run's own, whatever the session's time zone."""
    expected = rows(local.directory / f"command-{name}" / "statuses")
    assert len(expected) == 4303
    assert expected == rows(local.directory / f"{name}.parquet")


def test_times_are_instants_in_utc(local: Ran) -> None:
    """What the session calls a time zone changes how times are shown, and no time."""
    assert local.facts["reading"]["schema"] == (
        "struct<tag:string,phone_number:string,occurrence:int,country:string,status:string,stop_sms:boolean,"
        "status_at:timestamp,extracted_at:timestamp,run_id:string>"
    )


def test_one_extraction_gives_statuses_and_verdicts(local: Ran) -> None:
    """From the table `everything`, written once, come all tables, and each page was asked for once."""
    found = local.facts["reading"]
    sizes = {"settled": 2500, "soldes,été": 800, "ripening": 700, "late": 300, "tiny": 3, "empty": 0}
    expected = {tag: ["complete", size] for tag, size in sizes.items()} | {"never-sent": ["unknown", 0]}
    assert (found["verdicts"], found["quarantined"], found["runs"]) == (expected, 0, 1)
    assert found["most_requests_of_a_page"] == 1
    assert rows(local.directory / "split.parquet") == rows(local.directory / "plain.parquet")


def test_a_read_fails_for_a_tag_that_is_not_complete(local: Ran) -> None:
    """Nobody computes with half a tag: the action fails, and says which tag, its verdict and the reason."""
    told = local.facts["refusing"]["incomplete"]
    assert "NotComplete: not every tag is complete: late: incomplete (page 2 of 2 holds 0 rows instead of 1)" in told


def test_a_read_that_reports_goes_on(local: Ran) -> None:
    """With onIncomplete=report the other tags are read, and the table tag_runs tells of the one."""
    found = local.facts["refusing"]
    assert found["reported"]["late"] == ["incomplete", "page 2 of 2 holds 0 rows instead of 1"]
    assert [verdict for tag, (verdict, _) in found["reported"].items() if tag != "late"] == ["complete"] * 5 + [
        "unknown"
    ]
    assert found["rows_reported"] == 4303 - 300 - 2  # without the tag, and without the rows in quarantine


def test_a_read_fails_for_rows_in_quarantine(local: Ran) -> None:
    """Rows that can't be believed fail the read, unless so many are allowed; the table quarantine holds them."""
    found = local.facts["refusing"]
    assert "QuarantinedRows: 2 rows can't be believed (ripening: 2)" in found["quarantined"]
    assert found["allowed"] == 3198
    assert found["quarantine"] == [["ripening", page, 1, ["status_unknown"]] for page in (1, 2)]


def test_a_run_loads_what_is_complete_and_the_next_one_the_rest(local: Ran) -> None:
    """A tag that is not complete is not loaded, and asked for again; settled ones are not."""
    first, again = (local.facts["refusing"][name] for name in ("run", "again"))
    assert (first["exit_code"], first["verdicts"]["late"], first["loaded"]) == (3, "incomplete", 4001)
    assert (again["exit_code"], again["loaded"]) == (0, 1000)
    assert again["asked"] == ["empty", "late", "never-sent", "ripening"]


def test_a_run_s_jobs_belong_where_the_caller_put_them(local: Ran) -> None:
    """Spark's pages show a run's jobs under the group and in the pool that the calling thread has set."""
    assert local.facts["running"]["grouped"] > 0


def test_a_second_run_skips_what_is_settled_and_replaces_what_changed(local: Ran) -> None:
    """Nothing is doubled, and what is loaded is what the command line loads at that time."""
    first, second = (local.facts["running"][name] for name in ("first", "second"))
    assert (first["exit_code"], first["loaded"], second["exit_code"], second["loaded"]) == (0, 4303, 0, 700)
    assert second["verdicts"]["settled"] == "skipped"
    assert second["asked"] == ["empty", "never-sent", "ripening"]
    later, before = (rows(local.directory / name / "statuses") for name in ("command-later", "command-plain"))
    assert later != before
    assert later == rows(local.directory / "second.parquet", [])


def test_a_run_loads_a_lake(local: Ran) -> None:
    """Every destination of the product is one of Spark's runs, too."""
    lake = local.facts["running"]["lake"]
    assert (lake["exit_code"], lake["loaded"]) == (0, 4303)


def test_the_users_suite_judges_as_on_the_command_line(local: Ran) -> None:
    """Rows that fail it are in quarantine with their JSON, page and position; the others are loaded."""
    expected, found = (local.directory / name for name in ("command-judged", "judged"))
    assert local.facts["judging"]["run"]["exit_code"] == 4
    assert rows(expected / "statuses") == rows(found / "statuses")
    doubted = rows(expected / "quarantine")
    assert len(doubted) == 4303 - local.facts["judging"]["run"]["loaded"]
    assert doubted == rows(found / "quarantine")


def test_validate_judges_what_was_loaded(local: Ran) -> None:
    """Sound rows pass every rule of the contract; others are counted by the rule they break, and not shown."""
    found = local.facts["judging"]
    assert found["sound"] == [True, {}, 17]
    assert found["broken"] == [False, {"phone_number_matches": 1, "primary_key_unique": 2}]
    assert found["fewer"] == {"columns_in_order": None}
    assert found["kept"] is False
    assert not re.search(r"[0-9]{4}", found["shown"])


def test_who_was_erased_stays_away(local: Ran) -> None:
    """The rows of an erased number are left out where the tags are read, and the books balance."""
    found = local.facts["erasing"]
    assert (found["forgotten"], found["run"]["exit_code"], found["left"]) == (0, 0, 0)
    assert found["run"]["loaded"] == 4302


def test_a_refused_key_ends_a_run_before_anything_is_loaded(local: Ran) -> None:
    """The exit code says so, as it does for the command line; an API that is away fails its tags."""
    refused, away = (local.facts["secrets"][name] for name in ("refused_run", "unreachable_run"))
    assert (refused["exit_code"], refused["loaded"]) == (5, 0)
    assert (away["exit_code"], set(away["verdicts"].values())) == (3, {"failed"})


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("option", "there is no option 'apikey': the API key is read where the tasks run: set SMSPARTNER_API_KEY"),
        ("setting", "there is no setting 'api_key': the API key is read where the tasks run"),
        ("typo", "there is no option 'concurency'; there are allowQuarantined,"),
        ("configured", "spark.executorEnv.SMSPARTNER_API_KEY is shown in Spark's pages and logs"),
    ],
)
def test_the_key_is_no_option(local: Ran, name: str, sentence: str) -> None:
    """An option that shall hold the key is refused, and so is one that nobody knows."""
    assert sentence in local.facts["secrets"][name]


def test_what_is_staged_is_for_the_user_alone(local: Ran) -> None:
    """The staging directory can be read by nobody else, is new, and is gone after the run."""
    found = local.facts["staging"]
    assert found["mode"] == "0o700"
    assert found["taken"]["failure"] == "the staging directory can't be made: it is there already: name another one"
    assert found["left"] == ["False"]


def test_ctrl_c_ends_the_tasks_and_leaves_nothing_staged(local: Ran) -> None:
    """The run ends as interrupted, no task writes on, and the session can be used further."""
    assert local.facts["interrupting"] == {"exit_code": 130, "left": False, "later": 2}


def test_all_tasks_share_one_budget(local: Ran) -> None:
    """Two tasks with 20 requests a second between them: no second sees more than those, and one each to begin with."""
    times = local.facts["pacing"]["times"]
    assert len(times) == 12
    assert times[-1] - times[0] >= 0.4  # five intervals of a tenth of a second each, but for the way to the server


def test_the_page_about_spark_does_what_it_says(local: Ran) -> None:
    """Each of its blocks runs, one after the other, and leaves what the page says."""
    found = local.facts["documented"]
    assert found["languages"] == ["python"] * 4
    assert (found["statuses"], found["written"], found["loaded"]) == (60, 60, 60)
    assert found["verdicts"] == [["never-sent", "unknown"], ["promo-nov", "complete"], ["relance", "complete"]]
    assert "OK {'never-sent': 'unknown', 'promo-nov': 'complete', 'relance': 'complete'}" in found["printed"]
    assert "True {}" in found["printed"]


@pytest.mark.parametrize("where", ["local", "cluster"])
def test_nothing_that_is_told_holds_the_key_or_a_number(where: str, request: pytest.FixtureRequest) -> None:
    """Driver, executors, plans, event log and exceptions show neither, also when the API repeats the key."""
    ran: Ran = request.getfixturevalue(where)
    texts = ran.told | {"facts": json.dumps({**ran.facts, "numbers": None}, ensure_ascii=False)}
    dataset = ran.directory / "dataset" / "statuses"
    numbers = set(pq.read_table(dataset)["phone_number"].to_pylist())
    assert len(numbers) > 1000
    assert numbers_told(texts, numbers) == set()
    assert find(texts, {"key": (KEY,), "phone key": (PHONE_KEY,)}) == {"key": [], "phone key": []}


def test_a_worker_that_is_killed_costs_time_and_nothing_else(cluster: Ran) -> None:
    """Its tags are read again by the other one: each row is loaded once, and the driver needs no key."""
    facts = cluster.facts
    assert (facts["killed"], facts["exit_code"], facts["failure"]) == (True, 0, None)
    assert set(facts["verdicts"].values()) == {"complete"}
    assert facts["read_again"] > 0  # it was in the middle of something
    assert facts["loaded"] == facts["sent"]
    loaded = pq.read_table(cluster.directory / "dataset" / "statuses")["phone_number"].to_pylist()
    assert sorted(loaded) == sorted(facts["numbers"])
    assert facts["left"] == []


def test_the_driver_is_told_that_the_key_is_refused(cluster: Ran) -> None:
    """A task's failure names the reason, without the key that the API repeats."""
    assert (
        'AccessRefused: the API answered code 10 (wrong API key), "Clé API incorrecte: ***"' in cluster.facts["refused"]
    )


def test_budgets_are_divided_among_the_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rate and concurrency are for the whole read, however many tasks it has."""
    monkeypatch.setenv("SMSPARTNER_API_KEY", KEY)
    options = read_options({"tags": "a,b,c", "rate": "300/min", "concurrency": "8"})
    shares = [options.connection(number, 3) for number in range(3)]
    assert [share.concurrency for share in shares] == [3, 3, 2]
    assert sum(share.rate or 0 for share in shares) == pytest.approx(5)
    assert options.connection(0, 20).concurrency == 1


@pytest.mark.parametrize(
    ("given", "tags"),
    [("a,b", ("a", "b")), ("a\nb,c\n", ("a", "b,c")), (" a , a ", ("a",)), ("soldes,été\n", ("soldes,été",))],
)
def test_tags_are_separated_by_commas_or_lines(given: str, tags: tuple[str, ...]) -> None:
    """With a line break in it, each line is a tag, for a tag may hold a comma."""
    assert read_options({"tags": given}).tags == tags


@pytest.mark.parametrize(
    "wrong",
    [
        {"tags": ""},
        {"tags": "has space"},
        {"table": "rows"},
        {"concurrency": "0"},
        {"concurrency": "many"},
        {"rate": "fast"},
        {"timeout": "0"},
        {"retries": "-1"},
        {"baseUrl": "http://example.org"},
        {"phoneNumbers": "secret"},
        {"onIncomplete": "ignore"},
        {"partitions": "-1"},
        {"runId": "../x"},
        {"verify": "perhaps"},
        {"path": "x"},
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, str]) -> None:
    """Before anything is requested, on the driver."""
    with pytest.raises(SettingsError):
        read_options({"tags": "a", **wrong})


def test_what_a_run_writes_as_options_is_read_as_it_was_meant() -> None:
    """A run reaches the API from its tasks as its settings say."""
    staging = Staging((("0123abcd", "f" * 64),), raw=True)
    meant = {
        "tags": "a,b\nc\n",
        "rate": "7/min",
        "concurrency": "3",
        "verify": "true",
        "timeout": "1.5",
        "table": "everything",
    }
    options = read_options({**meant, "onIncomplete": "report"})
    read = read_options(write_options(options, options.tags, 4, staging))
    assert read.tags == ("a,b", "c")
    assert (read.staging, read.partitions) == (staging, 4)
    assert read.rate == pytest.approx(options.rate, rel=1e-6)
    same = ("table", "base_url", "concurrency", "timeout", "retries", "backoff", "verify", "run_id", "report")
    assert [getattr(read, name) for name in same] == [getattr(options, name) for name in same]


def test_without_spark_a_sentence_says_what_to_install() -> None:
    """Who has not installed it is told how, and pays nothing for it before."""
    code = "from smspartner_pipelines.spark import run"
    if subprocess.run([sys.executable, "-c", "import pyspark"], check=False, capture_output=True).returncode == 0:
        pytest.skip("Spark is installed here")
    told = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True).stderr
    assert told.endswith("SettingsError: Spark needs pyspark: pip install 'smspartner-connector[spark]'\n")
