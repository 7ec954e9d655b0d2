"""The door to dlt: real pipelines into DuckDB and PostgreSQL, told to by `scripts/dlt_steps.py`."""

from __future__ import annotations

import importlib.util
import json
import re
import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest
from smspartner import Connection
from smspartner_pipelines.run import run
from smspartner_pipelines.sandbox import Campaign, Fault, Sandbox
from smspartner_pipelines.settings import RunSettings
from smspartner_schemas.contract import QUARANTINE, STATUSES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "dlt.md"
NOW = 1_790_000_000
KEY = "k3y+of/the tests"
PER_RUN = {"extracted_at", "run_id"}
"""Columns that tell of the run, not of the API's rows."""

Steps = Callable[..., tuple[list[dict[str, Any]], subprocess.CompletedProcess[str]]]


def rows_of(status: str, count: int, *, seed: int = 0) -> list[object]:
    """Make rows of one status, whose numbers are of the range kept for fiction; the last one comes twice."""
    numbers = [f"+3363998{index + seed:04d}" for index in range(count - 1)]
    date = "" if status == "Waiting" else str(NOW)
    given = [*numbers, numbers[-1]]
    return [{"phoneNumber": number, "status": status, "stopSMS": False, "date": date} for number in given]


BAD = {"phoneNumber": "+33639989999", "status": "Lost in the mail", "stopSMS": False, "date": ""}
TAGS = ["large-1", "large-2", "changing", "doubtful", "emptied", "empty", "never"]
BEFORE = [
    Campaign("large-1", 30_000, NOW - 10**7, seed=1),
    Campaign("large-2", 12_000, NOW - 10**7, seed=2),
    Campaign.of_rows("changing", rows_of("Waiting", 50)),
    Campaign.of_rows("doubtful", [*rows_of("Delivered", 20), BAD]),
    Campaign.of_rows("emptied", [*rows_of("Delivered", 7), BAD]),
    Campaign("empty", 0, NOW),
]
AFTER = [
    *BEFORE[:2],
    Campaign.of_rows("changing", rows_of("Delivered", 60, seed=20)),
    Campaign.of_rows("doubtful", rows_of("Delivered", 21)),
    Campaign.of_rows("emptied", []),
    Campaign("empty", 0, NOW),
]


@pytest.fixture
def steps(engine: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> Steps:
    """Run the steps of a plan; give what became of each, and the process with all it said."""

    def run_plan(destination: str, *planned: dict[str, Any], dataset: str = "sms", level: str = "WARNING") -> Any:
        plan = tmp_path / "plan.json"
        named = {"destination": destination, "dataset": dataset, "steps": planned, "level": level}
        plan.write_text(json.dumps(named))
        told = {
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "RUNTIME__LOG_LEVEL": level,
            "DLT_DATA_DIR": str(tmp_path / "dlt"),
        }
        # Several files a table, so that what holds for a large population is seen in a small one.
        told |= {"EXTRACT__DATA_WRITER__FILE_MAX_ITEMS": "5000", "NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS": "5000"}
        ended = engine("dlt", "dlt_steps.py", plan, SMSPARTNER_API_KEY="sandbox-key", **told)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout), ended

    return run_plan


class Place:
    """A database that dlt loads into, and a reader of it who knows nothing of dlt."""

    def __init__(self, uri: str, dataset: str) -> None:
        self.uri = uri
        self.dataset = dataset

    def sql(self, statement: str) -> list[dict[str, Any]]:
        """Give the rows of a statement, in which `{sms}` names the dataset."""
        if self.uri.startswith("duckdb:"):
            import duckdb

            with duckdb.connect(self.uri.removeprefix("duckdb:")) as connection:
                connection.sql("SET TimeZone = 'UTC'")
                return connection.sql(statement.format(sms=self.dataset)).to_arrow_table().to_pylist()
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(self.uri) as connection, connection.cursor() as cursor:
            return cursor.execute(statement.format(sms=self.dataset)).fetch_arrow_table().to_pylist()


@pytest.fixture(params=["duckdb", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Give an empty place in a database of each kind."""
    if request.param == "duckdb":
        return Place(f"duckdb:{tmp_path / 'loaded.duckdb'}", "sms")
    return Place(request.getfixturevalue("postgresql_server"), f"sms_{secrets.token_hex(4)}")


def in_order(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Give rows without what tells of their run, in an order of their own."""
    kept = [name for name in columns if name not in PER_RUN]
    return sorted((tuple(row[name] for name in kept) for row in rows), key=repr)


def loaded_by_run(connection: Connection, directory: Path) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Load the same tags by `run` into a dataset, and give the rows of both tables."""
    run(RunSettings(tuple(TAGS), connection, (str(directory),), validate="contract"))
    return tuple(
        in_order(pq.read_table(directory / table.name).to_pylist(), table.column_names)
        for table in (STATUSES, QUARANTINE)
    )  # type: ignore[return-value]


def held(place: Place) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Give the rows of both tables as a reader of the destination sees them."""
    rows = place.sql("SELECT * FROM {sms}.statuses")
    doubted = place.sql("SELECT * FROM {sms}.quarantine")
    for row in doubted:
        row["reasons"] = json.loads(row["reasons"])
    assert {row["tag_emptied"] for row in rows + doubted} <= {None}
    return in_order(rows, STATUSES.column_names), in_order(doubted, QUARANTINE.column_names)


def test_tags_are_replaced_as_a_whole(
    place: Place, steps: Steps, start_sandbox: Callable[..., Sandbox], connect: Any, tmp_path: Path
) -> None:
    """However often it runs and whatever has changed, the destination holds what a run into a dataset would hold."""
    before, after = start_sandbox(BEFORE), start_sandbox(AFTER)
    first = {"url": before.url, "tags": TAGS, "allow_quarantined": 2}
    again = {"url": before.url, "tags": TAGS, "allow_quarantined": 2}
    assert steps(place.uri, first, again, dataset=place.dataset)[0] == [
        {"counted": {"statuses": 42_078, "quarantine": 6, "tag_runs": 7, "_dlt_pipeline_state": 1}},
        {"counted": {"statuses": 78, "quarantine": 4, "tag_runs": 7}},  # a marker for `empty`, three in quarantine
    ]
    assert held(place) == loaded_by_run(connect(before), tmp_path / "before")
    assert sum("large" in request.tag for request in before.requests) == 2 * 42  # settled: not read a second time

    changed = {"url": after.url, "tags": TAGS}
    shrunk, allowed = steps(place.uri, changed, changed | {"options": {"allow_shrink": True}}, dataset=place.dataset)[0]
    told = "emptied: shrunk (8 rows are loaded, the API now has 0 rows; --allow-shrink accepts that)"
    assert shrunk == {
        "counted": {"statuses": 82, "quarantine": 3, "tag_runs": 7},
        "check": "NotComplete",
        "told": f"not every tag is complete: {told}; run again, or take the complete ones from iter_snapshots",
    }
    assert allowed == {"counted": {"statuses": 2, "quarantine": 2, "tag_runs": 7}}  # all markers
    assert held(place) == loaded_by_run(connect(after), tmp_path / "after")
    assert held(place)[1] == []


@pytest.fixture
def duckdb_place(tmp_path: Path) -> Place:
    """Give an empty place in a DuckDB file."""
    return Place(f"duckdb:{tmp_path / 'loaded.duckdb'}", "sms")


def test_a_tag_that_is_not_complete_replaces_nothing(
    duckdb_place: Place, steps: Steps, start_sandbox: Callable[..., Sandbox]
) -> None:
    """What was loaded of it stays, the others are loaded, and it is told: by a warning, in `tag_runs`, by `check`."""
    tags = ["changing", "doubtful"]
    before, after = start_sandbox(BEFORE), start_sandbox(AFTER, faults=[Fault("short_page", tag="changing")])
    kept = {"allow_quarantined": 1, "tags": tags}
    (_, second), ended = steps(duckdb_place.uri, {"url": before.url} | kept, {"url": after.url} | kept)
    assert second["check"] == "NotComplete"
    assert re.search(r"tag changing is not loaded: incomplete \(", ended.stderr)
    assert duckdb_place.sql("SELECT tag, status, count(*) AS held FROM {sms}.statuses GROUP BY ALL ORDER BY ALL") == [
        {"tag": "changing", "status": "waiting", "held": 50},
        {"tag": "doubtful", "status": "delivered", "held": 21},
    ]
    runs = duckdb_place.sql("SELECT tag, verdict, rows_loaded FROM {sms}.tag_runs ORDER BY run_id, tag")
    assert [tuple(run.values()) for run in runs][2:] == [("changing", "incomplete", 0), ("doubtful", "complete", 21)]


def test_only_what_is_there_counts_as_loaded(
    duckdb_place: Place, steps: Steps, start_sandbox: Callable[..., Sandbox]
) -> None:
    """A settled tag is read again once rows of it are missing, doubled, or about to be dropped; all is there again."""
    settled = AFTER[3]
    sandbox = start_sandbox([settled])
    step = {"url": sandbox.url, "tags": [settled.tag]}
    everything = {"statuses": 21, "quarantine": 1, "tag_runs": 1}
    told, _ = steps(
        duckdb_place.uri,
        step,
        step,
        step | {"sql": "DELETE FROM sms.statuses WHERE phone_number LIKE '%7'"},
        step | {"sql": "INSERT INTO sms.statuses SELECT * FROM sms.statuses LIMIT 3"},
        step | {"sql": "INSERT INTO sms.quarantine SELECT * FROM sms.quarantine; DELETE FROM sms.tag_runs"},
        step | {"run": {"refresh": "drop_sources"}},
        step | {"run": {"refresh": "drop_data"}},
        step | {"resources": ["statuses"], "options": {"refresh": "all"}},
        step,
    )
    counted = [one.get("counted") for one in told]
    assert counted[0].items() >= everything.items()
    assert counted[1] == {"tag_runs": 1}
    assert [{name: one[name] for name in everything} for one in counted[2:7]] == [everything] * 5
    assert counted[7:] == [{"statuses": 21}, everything]
    assert [one.get("check") for one in told[:7]] == [None] * 7
    assert duckdb_place.sql("SELECT count(*) AS held, count(DISTINCT run_id) AS runs FROM {sms}.statuses") == [
        {"held": 21, "runs": 1}
    ]


def test_what_would_double_or_remove_rows_is_refused(
    duckdb_place: Place, steps: Steps, start_sandbox: Callable[..., Sandbox], tmp_path: Path
) -> None:
    """Other write dispositions, and destinations that can't replace by tag, are refused before any request."""
    sandbox = start_sandbox(BEFORE)
    step = {"url": sandbox.url, "tags": ["large-1"]}
    (replace, append), _ = steps(
        duckdb_place.uri,
        step | {"run": {"write_disposition": "replace"}},
        step | {"run": {"write_disposition": "append"}},
    )
    (files,), _ = steps(str(tmp_path / "files"), step)
    assert "leave `write_disposition` away" in replace["failed"]
    assert "leave `write_disposition` away" in append["failed"]
    assert "can't replace rows by tag" in files["failed"]
    assert sandbox.requests == []


def test_a_lost_count_is_noticed(duckdb_place: Place, steps: Steps, start_sandbox: Callable[..., Sandbox]) -> None:
    """`check` refuses a load whose rows were left out on the way, and the next run brings them."""
    sandbox = start_sandbox(BEFORE)
    step = {"url": sandbox.url, "tags": ["changing"]}
    (lost, mended), _ = steps(duckdb_place.uri, step | {"resources": ["quarantine", "tag_runs"]}, step)
    assert lost.get("check") == "CountMismatch", lost
    assert "hold 0 rows and 0 rows, where 50 and 0 were read" in lost["told"]
    assert "check" not in mended


def written(directory: Path) -> dict[str, str]:
    """Give the text of every file that dlt keeps, but for the rows on their way, which are data."""
    kept = [path for path in directory.rglob("*") if path.is_file() and not path.name.endswith(".duckdb")]
    rows = re.compile(r"(statuses|quarantine)\.[^/]*\.(parquet|jsonl|csv|insert_values)(\.gz)?$")
    return {str(path): path.read_bytes().decode("latin-1") for path in kept if not rows.match(path.name)}


def test_neither_key_nor_number_is_written_down(
    duckdb_place: Place, steps: Steps, start_sandbox: Callable[..., Sandbox], tmp_path: Path
) -> None:
    """With every logger at DEBUG, good and failing runs leave key and numbers in no log, trace, schema or state."""
    bad = Campaign.of_rows("bad", [BAD, *rows_of("Delivered", 3), {"phoneNumber": "+33639989998", "status": "?"}])
    sandbox = start_sandbox([bad, AFTER[2]], api_key=KEY, faults=[Fault("html", tag="changing")])
    step = {"url": sandbox.url, "key": KEY, "tags": ["bad", "changing"], "retries": 1}
    unreachable = step | {"url": "http://127.0.0.1:9/v1", "tags": ["bad"]}
    told, ended = steps(
        duckdb_place.uri,
        step,
        step | {"options": {"validate": "gx"}},
        unreachable,
        step | {"key": KEY + "!"},
        level="DEBUG",
    )
    assert [one.get("check") for one in told] == ["NotComplete", "NotComplete", "NotComplete", None]
    assert "the API answered code 10" in told[3]["failed"]
    assert duckdb_place.sql("SELECT count(*) AS held FROM {sms}.quarantine") == [{"held": 2}]
    texts = {"stdout": ended.stdout, "stderr": ended.stderr, **written(tmp_path)}
    assert any("trace.pickle" in name for name in texts)
    assert any("schemas" in name for name in texts)
    names = {name for name in texts if not name.endswith("plan.json")}
    spelled = (KEY, quote(KEY), quote(KEY, safe=""), KEY.replace(" ", "+"), KEY.replace("/", "\\/"))
    assert [name for name in names for one in spelled if one in texts[name]] == []
    assert [name for name in names if re.search(r"6\W?3\W?9\W?9\W?8", texts[name])] == []


def blocks(language: str) -> list[str]:
    """Give the code blocks of the page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_page_runs_as_it_stands(
    engine: Callable[..., subprocess.CompletedProcess[str]], start_sandbox: Callable[..., Sandbox], tmp_path: Path
) -> None:
    """The code and the configuration of docs/dlt.md work, with the key from dlt's secrets, and leave no rows behind."""
    sandbox = start_sandbox()
    folder = tmp_path / ".dlt"
    folder.mkdir()
    for block in blocks("toml"):
        name = re.match(r"# \.dlt/(\w+\.toml)\n", block)
        assert name is not None
        (folder / name[1]).write_text(block.replace("…", "sandbox-key"), encoding="utf-8")
    first, second = blocks("python")
    (tmp_path / "pipeline.py").write_text(first, encoding="utf-8")
    data = str(tmp_path / "data")
    ended = engine("dlt", str(tmp_path / "pipeline.py"), SMSPARTNER_BASE_URL=sandbox.url, DLT_DATA_DIR=data)
    assert (ended.returncode, ended.stderr) == (0, "")
    loaded = Place(f"duckdb:{tmp_path / 'smspartner.duckdb'}", "sms")
    assert loaded.sql(
        "SELECT tag, count(*) AS held FROM {sms}.statuses WHERE phone_number LIKE '%**%' GROUP BY ALL"
    ) == [
        {"tag": "promo-nov", "held": 4812},
        {"tag": "soldes-été", "held": 2000},
    ]
    assert [path.name for path in Path(data).rglob("statuses.*.parquet")] == []
    texts = {str(path): path.read_bytes() for path in Path(data).rglob("*") if path.is_file()}
    assert [name for name, text in texts.items() if b"sandbox-key" in text] == []
    (tmp_path / "pipeline.py").write_text(first + second, encoding="utf-8")
    options = {"SMSPARTNER_API_KEY": "sandbox-key", "SMSPARTNER_BASE_URL": sandbox.url, "DLT_DATA_DIR": data}
    ended = engine("dlt", str(tmp_path / "pipeline.py"), **options)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_without_dlt_it_says_what_to_install() -> None:
    """Whoever has not installed dlt is told which extra brings it."""
    if importlib.util.find_spec("dlt"):
        pytest.skip("dlt is installed beside the tests")
    with pytest.raises(ModuleNotFoundError, match=re.escape("pip install 'smspartner-connector[dlt]'")):
        importlib.import_module("smspartner_pipelines.dlt_source")
