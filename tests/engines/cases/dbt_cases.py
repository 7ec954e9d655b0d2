"""dbt on what runs have loaded: docs/how-to/dbt.md word for word, and data that somebody has changed since."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import chdir, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import psycopg2
import pytest
from faults import Campaign, Fault, HostileServer
from shared import DOCS, HOME, ROW, WAITING, blocks
from smspartner_schemas.sql import WAREHOUSE_TABLES

PAGE, EXAMPLE = "how-to/dbt.md", DOCS / "examples" / "dbt"
WITH_DUCKDB, WITH_POSTGRESQL, OTHER_SCHEMA, AFTER_A_RUN, FROM_FILES = blocks(PAGE, "bash")[1:]
_, OTHER_LIMITS, FILES_AS_SOURCES = blocks(PAGE, "yaml")
PROJECT = HOME / "sms_reports"
STATUSES = [ROW, ROW, ROW | {"stopSMS": True}, WAITING, ROW | {"status": "Not delivered"}]
CAMPAIGNS = [
    Campaign.of_rows("promo-nov", STATUSES),
    Campaign.of_rows("soldes-été", [ROW]),
    Campaign.of_rows("broken", [ROW]),
]
FIGURES = "select tag, messages, delivered, waiting, opt_outs, delivered_share from {} order by tag"
TESTS = sum(1 + sum((not c.nullable) + bool(c.allowed) for c in table.columns) for table in WAREHOUSE_TABLES) + 2
"""Keys, not null and allowed words of the tables; key and not null of the view."""


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    """An API that the environment leads to, with one tag that can't be read."""
    faults = [Fault("cut_json", tag="broken")]
    with HostileServer(CAMPAIGNS, faults=faults, api_key=os.environ["SMSPARTNER_API_KEY"]) as running:
        os.environ |= {"SMSPARTNER_BASE_URL": running.url, "SMSPARTNER_RETRIES": "0"}
        yield


def shell(text: str, folder: Path = PROJECT, **settings: str) -> int:
    """Run a block of the page, but for what installs; returns the exit code of the first command that fails."""
    text = re.sub(r"^pip install .*\n", "", text, flags=re.MULTILINE).replace("docs/examples/dbt", str(EXAMPLE))
    text = text.replace("etl@db.example.com", "")  # libpq finds user and host in the environment
    return subprocess.run(["bash", "-c", text], cwd=folder, env=os.environ | settings, check=False).returncode


def statuses(artifact: str, folder: Path = PROJECT) -> dict[str, str]:
    """Give what became of each test and model, or of each source's freshness, in dbt's last command."""
    results = json.loads((folder / "target" / artifact).read_text(encoding="utf-8"))["results"]
    return {re.sub(r"\.[0-9a-f]{10}$", "", one["unique_id"]).rpartition(".")[2]: one["status"] for one in results}


def sources(folder: Path = PROJECT) -> dict[str, Any]:
    """Give the sources as dbt has read them."""
    manifest = json.loads((folder / "target" / "manifest.json").read_text(encoding="utf-8"))
    return {one["name"]: one for one in manifest["sources"].values()}


def asked(*statements: str, file: Path = PROJECT / "sms.duckdb") -> list[tuple[Any, ...]]:
    """Give the rows of the last statement, in DuckDB."""
    with duckdb.connect(str(file)) as database:
        return [database.execute(statement).fetchall() for statement in statements][-1]


@pytest.fixture(scope="module")
def project() -> Path:
    """The project as the page makes it, after a first run into DuckDB, `dbt build` and `dbt source freshness`."""
    assert shell(f"set -e\n{WITH_DUCKDB}", HOME) == 0
    return PROJECT


def test_good_data_pass(project: Path) -> None:
    """Sources parse, every test passes, what is loaded is fresh, and the model says what the view `campaigns` says."""
    page = (DOCS / PAGE).read_text(encoding="utf-8")
    shown = [(EXAMPLE / file).read_text("utf-8") in page for file in ("profiles.yml", "models/campaign_results.sql")]
    assert shown == [True, True]
    results = statuses("run_results.json")
    assert (results.pop("campaign_results"), set(results.values()), len(results)) == ("success", {"pass"}, TESTS)
    assert statuses("sources.json") == {"tag_runs": "pass"}
    figures = asked(FIGURES.format("reports.campaign_results"))
    assert figures == asked(FIGURES.format("campaigns"))
    assert figures[0] == ("promo-nov", 5, 3, 1, 1, 0.75)


def test_freshness_is_of_what_was_asked_and_answered(project: Path) -> None:
    """Neither the time of the rows nor a request that failed makes fresh what no run has asked for in two days."""
    asked(
        "update tag_runs set verdict = 'skipped', extracted_at = now(), asked_at = now() - interval 51 hour",
        "insert into tag_runs by name select * replace ('late' as tag, 'failed' as verdict, now() as asked_at) "
        "from tag_runs limit 1",
    )
    assert (shell("dbt source freshness"), statuses("sources.json")) == (1, {"tag_runs": "error"})


def test_dbt_runs_after_what_is_loaded(project: Path) -> None:
    """The script builds after exit code 3, which it hands on, and builds nothing after 2."""
    (project / "tags.txt").write_text("promo-nov\nbroken\n", encoding="utf-8")
    (results := project / "target" / "run_results.json").unlink()
    assert (shell(AFTER_A_RUN, SMSPARTNER_RATE="fast"), results.exists()) == (2, False)
    assert shell(AFTER_A_RUN) == 3
    verdicts = "select tag, last_verdict, messages from reports.campaign_results where tag in ('broken', 'promo-nov')"
    assert sorted(asked(verdicts)) == [("broken", "failed", 0), ("promo-nov", "complete", 5)]


def test_changed_data_fail(project: Path) -> None:
    """A status that is not allowed, a missing number and a row that is there twice fail their tests, and no other."""
    asked(
        "create or replace table statuses as from statuses",  # without its rules
        "insert into statuses from statuses where occurrence = 3",
        "update statuses set status = 'lost' where occurrence = 1 and tag = 'promo-nov'",
        "update statuses set phone_number = null where occurrence = 2",
    )
    assert shell("dbt build") == 1
    failed = {name for name, status in statuses("run_results.json").items() if status == "fail"}
    words = "delivered__not_delivered__waiting__ko"
    assert failed == {
        "smspartner_statuses_key",
        "source_not_null_smspartner_statuses_phone_number",
        f"source_accepted_values_smspartner_statuses_status__{words}",
    }
    assert statuses("run_results.json")["campaign_results"] == "skipped"


def test_postgresql(project: Path) -> None:
    """The page's commands work on PostgreSQL, in the schema `public` and in another one."""
    place = urlsplit(os.environ["TEST_POSTGRESQL"])
    names = ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD")
    values = (place.hostname, place.port, place.username, place.password)
    os.environ |= dict(zip(names, map(str, values), strict=True))
    with closing(psycopg2.connect(dbname="postgres")) as postgres:
        postgres.autocommit = True
        postgres.cursor().execute("create database warehouse encoding 'UTF8' template template0")
    assert shell(f"set -e\n{WITH_POSTGRESQL}") == 0
    assert statuses("sources.json") == {"tag_runs": "pass"}
    with closing(psycopg2.connect(dbname="warehouse")) as warehouse, warehouse.cursor() as cursor:
        figures = []
        for name in ("reports.campaign_results", "campaigns"):
            cursor.execute(FIGURES.format(name))
            figures.append(cursor.fetchall())
        assert figures[0] == figures[1]
        assert figures[0][0] == ("promo-nov", 5, 3, 1, 1, 0.75)
        cursor.execute("create schema sms")
        warehouse.commit()
    assert shell("smspartner run promo-nov --to 'postgresql:///warehouse?options=-csearch_path%3Dsms'") == 0
    assert shell(OTHER_SCHEMA) == 0
    assert {one["relation_name"].split(".")[1] for one in sources().values()} == {'"sms"'}
    assert shell(OTHER_SCHEMA.replace("build", "parse").replace(": sms", ": 2026")) == 0  # a number, as YAML reads it
    assert {one["relation_name"].split(".")[1] for one in sources().values()} == {'"2026"'}


def test_parquet_files(project: Path) -> None:
    """With the page's lines in `dbt_project.yml`, the model counts the files of a dataset, and freshness has limits."""
    shutil.copytree(project, folder := HOME / "from_files", ignore=shutil.ignore_patterns("*.duckdb", "target", "logs"))
    with (folder / "dbt_project.yml").open("a", encoding="utf-8") as file:
        file.write(OTHER_LIMITS + FILES_AS_SOURCES)
    assert shell(f"set -e\n{FROM_FILES}", folder) == 0
    limits = [sources(folder)["tag_runs"]["freshness"][limit]["count"] for limit in ("warn_after", "error_after")]
    results = statuses("run_results.json", folder)
    assert (limits, results.pop("campaign_results"), set(results.values())) == ([3, 6], "success", {"pass"})
    with chdir(folder):
        found = asked(FIGURES.format("reports.campaign_results"), file=folder / "sms.duckdb")
    assert found == [("promo-nov", 5, 3, 1, 1, 0.75), ("soldes-été", 1, 1, 0, 0, 1.0)]
