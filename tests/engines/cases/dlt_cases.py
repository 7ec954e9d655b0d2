"""The source of dlt: pipelines into DuckDB and PostgreSQL, in this process, with the page's configuration of dlt."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import Any

import dlt
import duckdb
import psycopg2
import pyarrow.parquet as pq
import pytest
from faults import Campaign, Fault, HostileServer, demo_campaigns
from shared import HOME, asked, blocks
from smspartner import Connection, Secret
from smspartner.errors import CountMismatch, NotComplete, QuarantinedRows, SettingsError
from smspartner_pipelines.engines.dlt import check, smspartner_source
from smspartner_pipelines.run import run
from smspartner_pipelines.settings import RunSettings
from smspartner_schemas.contract import QUARANTINE, STATUSES

KEY = os.environ["SMSPARTNER_API_KEY"]
DUCKDB = f"duckdb:{HOME / 'loaded.duckdb'}"
LONG_AGO = 1_690_000_000


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
    Campaign.of_rows("changing", rows_of("Delivered", 60, seed=20)),
    Campaign.of_rows("doubtful", rows_of("Delivered", 21)),
    Campaign.of_rows("emptied", []),
]
SETTLED = Campaign.of_rows("settled", rows_of("Delivered", 21))


@pytest.fixture(scope="module", autouse=True)
def _configured() -> None:
    """Configure dlt as the page does, with every logger at DEBUG; several files a table, as large populations have."""
    logging.basicConfig(level="DEBUG")
    (HOME / ".dlt").mkdir()
    for block in blocks("dlt.md", "toml"):
        name = re.match(r"# \.dlt/(\w+\.toml)\n", block)
        assert name is not None
        (HOME / ".dlt" / name[1]).write_text(block.replace("…", KEY), encoding="utf-8")
    for stage in ("EXTRACT", "NORMALIZE"):
        os.environ[f"{stage}__DATA_WRITER__FILE_MAX_ITEMS"] = "1000"


@pytest.fixture
def server() -> Iterator[HostileServer]:
    """An API as it is at first."""
    with HostileServer([*BEFORE, SETTLED], api_key=KEY) as running:
        yield running


@dataclass(frozen=True)
class Loaded:
    """What dlt counted in a load, markers of empty tags among it, and what `check` raises."""

    rows: dict[str, int]
    refused: Exception | None


@dataclass(frozen=True)
class Pipeline:
    """A pipeline of a name, which is its dataset's, too."""

    name: str
    server: HostileServer
    uri: str = DUCKDB

    def dlt(self) -> Any:
        """Open the pipeline, as every run does."""
        to: Any = dlt.destinations.postgres(self.uri) if "postgresql:" in self.uri else None
        to = dlt.destinations.duckdb(self.uri.removeprefix("duckdb:")) if self.uri.startswith("duckdb:") else to
        return dlt.pipeline(self.name, destination=to or dlt.destinations.filesystem(self.uri), dataset_name=self.name)

    def load(
        self,
        *tags: str,
        key: str = KEY,
        allowed: int = 0,
        only: tuple[str, ...] = (),
        run: dict[str, Any] | None = None,
        **options: Any,
    ) -> Loaded:
        """Load tags, and check the load; the page's configuration masks numbers where nothing else is said."""
        pipeline = self.dlt()
        connection = Connection(Secret(key), base_url=self.server.url, retries=1, backoff=0, pass_pauses=(0.0,))
        given = {"validate": "contract", "phone_numbers": "plain", **options}
        source = smspartner_source(tags, connection, **given)
        pipeline.run(source.with_resources(*only) if only else source, **(run or {}))
        counted = pipeline.last_trace.last_normalize_info.row_counts
        rows = {table: count for table, count in counted.items() if not table.startswith("_")}
        try:
            check(pipeline, allow_quarantined=allowed)
        except Exception as exc:  # noqa: BLE001  # the case says which
            return Loaded(rows, exc)
        return Loaded(rows, None)

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Give the rows of a statement, by a reader that knows nothing of dlt."""
        if "postgresql:" in self.uri:
            with psycopg2.connect(self.uri) as database, database.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall()
        with duckdb.connect(self.uri.removeprefix("duckdb:")) as database:
            return [tuple(row.values()) for row in database.sql(statement).to_arrow_table().to_pylist()]


@pytest.mark.parametrize("kind", ["duckdb", "postgresql"])
def test_whole_tags_are_replaced(server: HostileServer, kind: str, tmp_path: Path) -> None:
    """However often it runs and however tags change, the destination holds what a run into a dataset holds.

    A settled tag costs one request a run, and a fresh one none; all keep their quarantined rows for `check`.
    """
    pipeline = Pipeline("whole", server, DUCKDB if kind == "duckdb" else os.environ["TEST_POSTGRESQL"])
    first = pipeline.load(*TAGS, allowed=2)
    assert first == Loaded({"statuses": 3578, "quarantine": 6, "loaded_tags": 6, "tag_runs": 7}, None)
    again = pipeline.load(*TAGS, allowed=2)  # one of the rows of `statuses` is a marker
    assert again == Loaded({"statuses": 78, "quarantine": 4, "loaded_tags": 4, "tag_runs": 7}, None)
    fresh = pipeline.load(*TAGS, fresh_for="1h")
    assert (fresh.rows, type(fresh.refused)) == ({"tag_runs": 7}, QuarantinedRows)
    assert "2 rows are not valid" in str(fresh.refused)
    seen = pipeline.sql(
        "SELECT verdict, rows_loaded, requests FROM whole.tag_runs WHERE tag = 'large-1' ORDER BY run_id"
    )
    assert seen == [("complete", 2990, 3), ("skipped", 2990, 1), ("skipped", 2990, 0)]
    assert asked(server, "large-1") == 3 + 1
    for campaign in AFTER:
        server.set_campaign(campaign)
    changed = pipeline.load(*TAGS, allowed=2)
    assert (changed.rows["statuses"], type(changed.refused)) == (82, NotComplete)
    assert "emptied: shrunk (8 rows are loaded or in quarantine, the API has 0 now" in str(changed.refused)
    shrunk = pipeline.load(*TAGS, allow_shrink=True)
    assert shrunk == Loaded({"statuses": 2, "quarantine": 2, "loaded_tags": 2, "tag_runs": 7}, None)
    connection = Connection(Secret(KEY), server.url)
    run(RunSettings(tuple(TAGS), (str(tmp_path / "loaded"),), connection, validate="contract"))
    ours = [name for name in STATUSES.column_names if name not in {"extracted_at", "run_id"}]
    expected = pq.read_table(tmp_path / "loaded" / "statuses", columns=ours).to_pylist()
    held = pipeline.sql(f"SELECT {', '.join(ours)} FROM whole.statuses WHERE tag_emptied IS NULL")
    assert sorted(held, key=repr_of_key) == sorted((tuple(row.values()) for row in expected), key=repr_of_key)
    for table in (STATUSES, QUARANTINE):
        (count,) = pipeline.sql(f"SELECT count(*) FROM whole.{table.name}")
        assert count == (len(held) if table is STATUSES else 0,)


def repr_of_key(row: tuple[Any, ...]) -> tuple[str, ...]:
    """Give the primary key of a row of `statuses`, to sort by."""
    return tuple(map(str, row[:3]))


def test_a_tag_that_is_not_complete_replaces_nothing(server: HostileServer) -> None:
    """What was loaded of it stays, the others are loaded, and a warning, `tag_runs` and `check` name it."""
    pipeline = Pipeline("kept", server)
    pipeline.load("changing", "doubtful")
    for campaign in AFTER:
        server.set_campaign(campaign)
    server.faults.add(Fault("short_page", tag="changing"))
    logged = BufferingHandler(100)
    logging.getLogger("smspartner_pipelines").addHandler(logged)
    assert isinstance(pipeline.load("changing", "doubtful").refused, NotComplete)
    said = [record.getMessage() for record in logged.buffer]
    assert any(text.startswith("tag changing is not loaded: incomplete (") for text in said)
    assert pipeline.sql("SELECT tag, status, count(*) FROM kept.statuses GROUP BY ALL ORDER BY ALL") == [
        ("changing", "waiting", 50),
        ("doubtful", "delivered", 21),
    ]
    runs = pipeline.sql("SELECT tag, verdict, rows_loaded FROM kept.tag_runs ORDER BY run_id, tag")
    assert runs[2:] == [("changing", "incomplete", 0), ("doubtful", "complete", 21)]


def test_only_what_is_there_counts_as_loaded(server: HostileServer) -> None:
    """A settled tag is read again once rows of it are missing, doubled or dropped; then all is there again, once."""
    pipeline = Pipeline("state", server)
    everything = Loaded({"statuses": 21, "loaded_tags": 1, "tag_runs": 1, "quarantine": 1}, None)  # one marker
    assert pipeline.load("settled") == everything
    assert pipeline.load("settled") == Loaded({"tag_runs": 1}, None)
    for change in (
        "DELETE FROM state.statuses WHERE phone_number LIKE '%7'",
        "INSERT INTO state.statuses SELECT * FROM state.statuses LIMIT 3",
        "DELETE FROM state.loaded_tags",
    ):
        with pipeline.dlt().sql_client() as client:
            client.execute_sql(change)
        assert pipeline.load("settled") == everything
    assert pipeline.load("settled", run={"refresh": "drop_sources"}) == everything
    partly = pipeline.load("settled", only=("statuses",), refresh="all")
    assert isinstance(partly.refused, SettingsError)
    assert pipeline.load("settled") == everything
    assert pipeline.sql("SELECT count(*), count(DISTINCT run_id) FROM state.statuses") == [(21, 1)]


def test_a_lost_row_is_noticed(server: HostileServer) -> None:
    """`check` refuses a load whose rows were left out on the way; the next run brings them."""
    pipeline = Pipeline("lost", server)
    without_rows = pipeline.load("changing", only=("quarantine", "loaded_tags", "tag_runs"))
    assert isinstance(without_rows.refused, CountMismatch)
    assert "does not hold the 50 rows, and 0 in quarantine, that were loaded" in str(without_rows.refused)
    assert pipeline.load("changing").refused is None


def test_what_would_double_or_remove_rows_is_refused(server: HostileServer) -> None:
    """Other write dispositions, and destinations that can't replace by tag, are refused before any request."""
    for disposition in ("replace", "append"):
        with pytest.raises(Exception, match="leave write_disposition out"):
            Pipeline("refused", server).load("large-1", run={"write_disposition": disposition})
    with pytest.raises(Exception, match="no destination that can replace rows by tag"):
        Pipeline("folder", server, str(HOME / "folder")).load("large-1")
    assert server.requests == []


def test_failing_runs_say_what_is_wrong(server: HostileServer) -> None:
    """Rows in quarantine, a tag whose answers are no JSON, a refused key: also where all is logged at DEBUG."""
    server.set_campaign(Campaign.of_rows("bad", [BAD, *rows_of("Delivered", 3), BAD | {"status": "?"}]))
    server.faults.add(Fault("html", tag="changing"))
    pipeline = Pipeline("secret", server)
    for validate in ("contract", "gx"):
        assert isinstance(pipeline.load("bad", "changing", validate=validate).refused, NotComplete)
    with pytest.raises(Exception, match="the API answered code 10"):
        pipeline.load("bad", key=(HOME / "wrong").read_text(encoding="utf-8"))
    assert pipeline.sql("SELECT count(*) FROM secret.quarantine") == [(2,)]


def test_the_page_runs_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code and the configuration of docs/dlt.md work, with the key from dlt's secrets, and leave no rows behind."""
    first, second = blocks("dlt.md", "python")
    monkeypatch.delenv("SMSPARTNER_API_KEY")
    names: dict[str, Any] = {}
    with HostileServer(demo_campaigns(LONG_AGO), api_key=KEY) as running:
        monkeypatch.setenv("SMSPARTNER_BASE_URL", running.url)
        exec(first, names)  # noqa: S102  # that is what the page is for
        monkeypatch.setenv("SMSPARTNER_API_KEY", KEY)
        exec(second, names)  # noqa: S102
    with duckdb.connect(HOME / "smspartner.duckdb") as connection:
        masked = "SELECT tag, count(*) FROM sms.statuses WHERE phone_number LIKE '%**%' GROUP BY ALL ORDER BY ALL"
        assert connection.sql(masked).fetchall() == [("promo-nov", 4812), ("soldes-été", 2000)]
    assert [path for path in (HOME / "dlt" / "pipelines" / "smspartner").rglob("*") if "statuses." in path.name] == []
