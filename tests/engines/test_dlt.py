"""The source of dlt: real pipelines into DuckDB and PostgreSQL, run step by step by `scripts/dlt_steps.py`."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from adbc_driver_postgresql import dbapi
from faults import Campaign, Fault, HostileServer
from smspartner import Connection, Secret
from smspartner_pipelines.run import run
from smspartner_pipelines.settings import RunSettings
from smspartner_schemas.contract import QUARANTINE, STATUSES

LONG_AGO = 1_690_000_000
KEY = "k3y+of/the tests"
PER_RUN = {"extracted_at", "run_id"}
"""Columns that belong to the run, not to the API's rows."""


def rows_of(status: str, count: int, *, seed: int = 0) -> list[object]:
    """Make rows of one status; the last one comes twice."""
    numbers = [f"+336399800{(index + seed) % 100:02d}" for index in range(count - 1)]
    date = "" if status == "Waiting" else str(LONG_AGO)
    given = [*numbers, numbers[-1]]
    return [{"phoneNumber": number, "status": status, "stopSMS": False, "date": date} for number in given]


BAD = {"phoneNumber": "+33639980099", "status": "Lost in the mail", "stopSMS": False, "date": ""}
TAGS = ["large-1", "large-2", "changing", "doubtful", "emptied", "empty", "never"]
BEFORE = [
    Campaign("large-1", 2_990, LONG_AGO, seed=1),
    Campaign("large-2", 510, LONG_AGO, seed=2),
    Campaign.of_rows("changing", rows_of("Waiting", 50)),
    Campaign.of_rows("doubtful", [*rows_of("Delivered", 20), BAD]),
    Campaign.of_rows("emptied", [*rows_of("Delivered", 7), BAD]),
    Campaign("empty", 0, LONG_AGO),
]
AFTER = [
    *BEFORE[:2],
    Campaign.of_rows("changing", rows_of("Delivered", 60, seed=20)),
    Campaign.of_rows("doubtful", rows_of("Delivered", 21)),
    Campaign.of_rows("emptied", []),
    Campaign("empty", 0, LONG_AGO),
]
SECRET_ROWS = Campaign.of_rows("bad", [BAD, *rows_of("Delivered", 3), BAD | {"status": "?"}])
SERVERS: dict[str, Any] = {
    "before": {"campaigns": BEFORE},
    "after": {"campaigns": AFTER},
    "short": {"campaigns": AFTER, "faults": [Fault("short_page", tag="changing")]},
    "odd": {"campaigns": [SECRET_ROWS, AFTER[2]], "api_key": KEY, "faults": [Fault("html", tag="changing")]},
    "untouched": {"campaigns": BEFORE},
}


def steps_of(uris: dict[str, str], folder: str) -> dict[str, dict[str, Any]]:
    """Give all steps by their names, which begin with their dataset's."""
    steps: dict[str, dict[str, Any]] = {}
    for kind in uris:
        everything = {"tags": TAGS, "allow_quarantined": 2}
        steps |= {
            f"{kind} first": {"url": "before", **everything},
            f"{kind} again": {"url": "before", **everything},
        }
        if kind == "duckdb":
            steps["duckdb fresh"] = {"url": "before", "tags": TAGS, "options": {"fresh_for": "1h"}}
        steps |= {
            f"{kind} changed": {"url": "after", **everything},
            f"{kind} allowed": {"url": "after", "tags": TAGS, "options": {"allow_shrink": True}},
        }
    two = {"tags": ["changing", "doubtful"], "allow_quarantined": 1}
    steps |= {"kept first": {"url": "before", **two}, "kept short": {"url": "short", **two}}
    settled = {"url": "after", "tags": ["doubtful"]}
    steps |= {
        "state first": settled,
        "state settled": settled,
        "state fewer": settled | {"sql": "DELETE FROM state.statuses WHERE phone_number LIKE '%7'"},
        "state doubled": settled | {"sql": "INSERT INTO state.statuses SELECT * FROM state.statuses LIMIT 3"},
        "state forgotten": settled | {"sql": "DELETE FROM state.loaded_tags"},
        "state dropped": settled | {"run": {"refresh": "drop_sources"}},
        "state partly": settled | {"resources": ["statuses"], "options": {"refresh": "all"}},
        "state repaired": settled,
        "lost rows": {"url": "before", "tags": ["changing"], "resources": ["quarantine", "loaded_tags", "tag_runs"]},
        "lost nothing": {"url": "before", "tags": ["changing"]},
    }
    refused = {"url": "untouched", "tags": ["large-1"]}
    steps |= {
        "refused replace": refused | {"run": {"write_disposition": "replace"}},
        "refused append": refused | {"run": {"write_disposition": "append"}},
        "refused folder": refused | {"destination": folder},
    }
    odd = {"url": "odd", "key": KEY, "tags": ["bad", "changing"]}
    return steps | {
        "secret odd": odd,
        "secret gx": odd | {"options": {"validate": "gx"}},
        "secret key": odd | {"key": KEY + "!"},
    }


class Ran:
    """All steps, run once: what they said, the requests, and readers of both databases who know nothing of dlt."""

    def __init__(self, process: subprocess.CompletedProcess[str], names: list[str], uris: dict[str, str]) -> None:
        assert process.returncode == 0, process.stderr[-5000:]
        self.process = process
        self.uris = uris
        self.results: dict[str, dict[str, Any]] = dict(zip(names, json.loads(process.stdout), strict=True))

    def sql(self, statement: str, kind: str = "duckdb") -> list[dict[str, Any]]:
        """Give the rows of a statement."""
        if kind == "duckdb":
            with duckdb.connect(self.uris[kind].removeprefix("duckdb:")) as connection:
                connection.sql("SET TimeZone = 'UTC'")
                return connection.sql(statement).to_arrow_table().to_pylist()
        with dbapi.connect(self.uris[kind]) as connection, connection.cursor() as cursor:
            return cursor.execute(statement).fetch_arrow_table().to_pylist()

    def counted(self, name: str) -> dict[str, int]:
        """Give the rows that dlt counted in a step, markers of empty tags among them."""
        assert "failed" not in self.results[name], self.results[name]
        return {table: rows for table, rows in self.results[name]["counted"].items() if not table.startswith("_")}


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, HostileServer]]:
    """One server for each state of the API."""
    with ExitStack() as running:
        yield {name: running.enter_context(HostileServer(**options)) for name, options in SERVERS.items()}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where dlt keeps its files."""
    return tmp_path_factory.mktemp("dlt")


@pytest.fixture(scope="module")
def ran(engine: Callable[..., Any], home: Path, postgresql_server: str, servers: dict[str, HostileServer]) -> Ran:
    """All steps have run, with every logger at DEBUG."""
    uris = {"duckdb": f"duckdb:{home / 'loaded.duckdb'}", f"sms_{secrets.token_hex(4)}": postgresql_server}
    steps = steps_of(uris, str(home / "folder"))
    for name, step in steps.items():
        step.update(url=servers[step["url"]].url if step["url"] in servers else step["url"], dataset=name.split()[0])
        step.setdefault("destination", uris.get(step["dataset"], uris["duckdb"]))
    (home / "plan.json").write_text(json.dumps(list(steps.values())))
    settings = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "DEBUG", "DLT_DATA_DIR": str(home / "dlt")}
    # Several files a table, so that what holds for a large population is seen in a small one.
    settings |= {f"{stage}__DATA_WRITER__FILE_MAX_ITEMS": "1000" for stage in ("EXTRACT", "NORMALIZE")}
    return Ran(engine("dlt", home, "dlt_steps.py", home / "plan.json", **settings), list(steps), uris)


def in_order(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Give rows without what belongs to their run, in an order of their own."""
    kept = [name for name in columns if name not in PER_RUN]
    return sorted((tuple(row[name] for name in kept) for row in rows), key=repr)


@pytest.mark.parametrize("kind", [0, 1], ids=["duckdb", "postgresql"])
def test_whole_tags_are_replaced(ran: Ran, servers: dict[str, HostileServer], kind: int, tmp_path: Path) -> None:
    """However often it runs and however tags change, the destination holds what a run into a dataset holds."""
    name = list(ran.uris)[kind]
    first, again, changed, allowed = (ran.counted(f"{name} {one}") for one in ("first", "again", "changed", "allowed"))
    assert first == {"statuses": 3578, "quarantine": 6, "loaded_tags": 6, "tag_runs": 7}
    assert again == {"statuses": 78, "quarantine": 4, "loaded_tags": 4, "tag_runs": 7}  # one statuses row is a marker
    assert ran.results[f"{name} changed"]["check"] == "NotComplete"
    shrunk = "emptied: shrunk (8 rows are loaded or in quarantine, the API has 0 now"
    assert shrunk in ran.results[f"{name} changed"]["said"]
    assert (changed["statuses"], allowed) == (82, {"statuses": 2, "quarantine": 2, "loaded_tags": 2, "tag_runs": 7})
    assert all("check" not in ran.results[f"{name} {one}"] for one in ("first", "again", "allowed"))
    connection = Connection(Secret("sandbox-key"), servers["after"].url)
    run(RunSettings(tuple(TAGS), connection, (str(tmp_path),), validate="contract"))
    for table in (STATUSES, QUARANTINE):
        held = ran.sql(f"SELECT * FROM {name if kind else 'duckdb'}.{table.name}", name)
        assert {row["tag_emptied"] for row in held} <= {None}
        expected = pq.read_table(tmp_path / table.name).to_pylist() if table is STATUSES else []
        assert in_order(held, table.column_names) == in_order(expected, table.column_names)


def test_settled_tags_are_asked_for_their_first_page(ran: Ran, servers: dict[str, HostileServer]) -> None:
    """A settled tag costs one request a run, and fresh ones none; all keep their quarantined rows for `check`."""
    asked = [request.page for request in servers["before"].requests if request.tag == "large-1"]
    assert len(asked) == 2 * (3 + 1)  # into two destinations: three pages, then one
    fresh = ran.results["duckdb fresh"]
    assert (ran.counted("duckdb fresh")["tag_runs"], fresh["check"]) == (7, "QuarantinedRows")
    assert "2 rows are not valid" in fresh["said"]
    rows = ran.sql("SELECT verdict, rows_loaded, requests FROM duckdb.tag_runs WHERE tag = 'large-1' ORDER BY run_id")
    seen = [tuple(row.values()) for row in rows]
    assert seen[:3] == [("complete", 2990, 3), ("skipped", 2990, 1), ("skipped", 2990, 0)]


def test_a_tag_that_is_not_complete_replaces_nothing(ran: Ran) -> None:
    """What was loaded of it stays, the others are loaded, and a warning, `tag_runs` and `check` name it."""
    assert ran.results["kept short"]["check"] == "NotComplete"
    assert re.search(r"tag changing is not loaded: incomplete \(", ran.process.stderr)
    assert ran.sql("SELECT tag, status, count(*) AS held FROM kept.statuses GROUP BY ALL ORDER BY ALL") == [
        {"tag": "changing", "status": "waiting", "held": 50},
        {"tag": "doubtful", "status": "delivered", "held": 21},
    ]
    runs = ran.sql("SELECT tag, verdict, rows_loaded FROM kept.tag_runs ORDER BY run_id, tag")
    assert [tuple(run.values()) for run in runs][2:] == [("changing", "incomplete", 0), ("doubtful", "complete", 21)]


def test_only_what_is_there_counts_as_loaded(ran: Ran) -> None:
    """A settled tag is read again once rows of it are missing, doubled or dropped; then all is there again, once."""
    everything = {"statuses": 21, "quarantine": 1, "loaded_tags": 1, "tag_runs": 1}
    assert ran.counted("state first") == everything
    assert ran.counted("state settled") == {"tag_runs": 1}
    for name in ("fewer", "doubled", "forgotten", "dropped", "repaired"):
        assert (name, ran.counted(f"state {name}")) == (name, everything)
        assert "check" not in ran.results[f"state {name}"]
    assert ran.sql("SELECT count(*) AS held, count(DISTINCT run_id) AS runs FROM state.statuses") == [
        {"held": 21, "runs": 1}
    ]


def test_a_lost_row_is_noticed(ran: Ran) -> None:
    """`check` refuses a load whose rows, or whose results, were left out on the way; the next run brings them."""
    assert ran.results["lost rows"]["check"] == "CountMismatch"
    assert "does not hold the 50 rows, and 0 in quarantine, that were loaded" in ran.results["lost rows"]["said"]
    assert "check" not in ran.results["lost nothing"]
    assert ran.results["state partly"]["check"] == "SettingsError"


def test_what_would_double_or_remove_rows_is_refused(ran: Ran, servers: dict[str, HostileServer]) -> None:
    """Other write dispositions, and destinations that can't replace by tag, are refused before any request."""
    said = {"replace": "leave write_disposition out", "append": "leave write_disposition out"}
    said |= {"folder": "no destination that can replace rows by tag"}
    for name, text in said.items():
        assert text in ran.results[f"refused {name}"]["failed"]
    assert servers["untouched"].requests == []


def test_neither_key_nor_number_is_written_down(ran: Ran, home: Path, leaks: Callable[..., list[str]]) -> None:
    """Good and failing runs leave key and numbers in no log, trace, schema or state, only in the rows themselves."""
    assert [ran.results[f"secret {name}"]["check"] for name in ("odd", "gx")] == ["NotComplete"] * 2
    assert "the API answered code 10" in ran.results["secret key"]["failed"]
    assert ran.sql("SELECT count(*) AS held FROM secret.quarantine") == [{"held": 2}]
    rows = r"\.duckdb|plan\.json|(statuses|quarantine)\.[^/]*\.(parquet|jsonl|csv|insert_values)(\.gz)?$"
    texts = {"stdout": ran.process.stdout, "stderr": ran.process.stderr}
    assert leaks(home, texts, KEY, without=rows) == []


def test_the_page_runs_as_it_stands(
    engine: Callable[..., Any], blocks: Callable[..., list[str]], start_sandbox: Callable[..., Any], tmp_path: Path
) -> None:
    """The code and the configuration of docs/dlt.md work, with the key from dlt's secrets, and leave no rows behind."""
    (tmp_path / ".dlt").mkdir()
    for block in blocks("dlt.md", "toml"):
        name = re.match(r"# \.dlt/(\w+\.toml)\n", block)
        assert name is not None
        (tmp_path / ".dlt" / name[1]).write_text(block.replace("…", "sandbox-key"), encoding="utf-8")
    first, second = blocks("dlt.md", "python")
    key = 'import os\nos.environ["SMSPARTNER_API_KEY"] = "sandbox-key"\n'
    (tmp_path / "pipeline.py").write_text(first + key + second, encoding="utf-8")
    settings = {"SMSPARTNER_BASE_URL": start_sandbox().url, "DLT_DATA_DIR": str(tmp_path / "kept")}
    ended = engine("dlt", tmp_path, tmp_path / "pipeline.py", **settings)
    assert (ended.returncode, ended.stderr) == (0, "")
    with duckdb.connect(tmp_path / "smspartner.duckdb") as connection:
        masked = "SELECT tag, count(*) FROM sms.statuses WHERE phone_number LIKE '%**%' GROUP BY ALL ORDER BY ALL"
        assert connection.sql(masked).fetchall() == [("promo-nov", 4812), ("soldes-été", 2000)]
    kept = [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]
    assert [path for path in kept if "statuses." in path.name or b"sandbox-key" in path.read_bytes()] == []
