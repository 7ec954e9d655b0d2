"""What the pages for analysts and BI teams give to paste runs, and gives the right answers."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import duckdb
import pandas as pd
import pytest
from smspartner import Connection
from smspartner_pipelines.run import run
from smspartner_pipelines.sandbox import Fault, Sandbox
from smspartner_pipelines.settings import RunSettings
from smspartner_schemas.contract import STATUSES, TAG_RUNS

Ask = Callable[[str], list[dict[str, Any]]]

PAGES = Path(__file__).resolve().parents[2] / "docs" / "how-to"
TAGS = ("promo-nov", "relance", "empty")
M_TYPES = {
    "string": "type text",
    "int32": "Int64.Type",
    "int64": "Int64.Type",
    "float64": "type number",
    "bool": "type logical",
    "timestamp": "type datetime",
}
FILE_VIEWS = "sql: Views of the files"
VIEWS = "metabase: Views without phone numbers, and a role that sees nothing else"
READER = "metabase:choose-a-password"
COMPARED = {
    "metabase: Delivered share by tag": ("tag", "messages", "delivered", "delivered_share", "still_waiting"),
    "metabase: Still waiting": ("tag", "waiting", "messages"),
}
"""What is compared of an answer, where that is not everything."""


def sql_blocks(engine: str) -> dict[str, list[str]]:
    """Give the statements of SQL that are for an engine, by page and heading."""
    marked = r"<!-- on: ([a-z, ]+) -->\n<!-- run by: tests/docs/test_bi\.py -->\n```sql\n(.+?)```"
    found: dict[str, list[str]] = {}
    for name in ("metabase.md", "sql.md", "power-bi.md"):
        for section in re.split(r"^#+ ", (PAGES / name).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            for engines, code in re.findall(marked, section, re.DOTALL):
                if engine in engines.split(", "):
                    heading = f"{name.removesuffix('.md')}: {section.splitlines()[0]}"
                    found.setdefault(heading, []).extend(one.strip() for one in code.split(";") if one.strip())
    return found


@pytest.fixture(scope="module")
def module_sandbox() -> Iterator[Sandbox]:
    """A sandbox whose clock stands still, where `relance` is under way and has rows that are not valid."""
    now = time.time()
    with Sandbox(clock=lambda: now, faults=[Fault("bad_status", tag="relance")]) as sandbox:
        yield sandbox


@pytest.fixture
def load(module_sandbox: Sandbox, connect: Callable[..., Connection]) -> Callable[..., Any]:
    """Load the tags into a destination."""
    return lambda to: run(
        RunSettings(tags=(*TAGS, "never-sent"), connection=connect(module_sandbox), to=(to,), validate="contract")
    )


@pytest.fixture
def asking(load: Callable[..., Any], postgresql: Any, tmp_path: Path) -> Iterator[Callable[[str], tuple[Ask, Ask]]]:
    """Give, for an engine with data and the views of the pages, who asks as the owner, and who as the role."""

    def duckdb_file(name: str, statements: list[str]) -> tuple[Ask, Ask]:
        def ask(statement: str) -> list[dict[str, Any]]:
            with duckdb.connect(str(tmp_path / name)) as connection:
                found = connection.sql(statement)
                return found.to_arrow_table().to_pylist() if found else []

        for statement in statements:
            ask(statement)
        return ask, ask

    def asked(engine: str) -> tuple[Ask, Ask]:
        if engine == "files":
            return duckdb_file("views.duckdb", sql_blocks("files")[FILE_VIEWS])
        if engine == "duckdb":
            load(f"duckdb:{tmp_path / 'sms.duckdb'}")
            return duckdb_file("sms.duckdb", sql_blocks("postgresql")[VIEWS][:2])
        load(postgresql.uri)
        schema = postgresql.sql("select current_schema() as name")[0]["name"]
        for statement in sql_blocks("postgresql")[VIEWS]:
            postgresql.sql(statement.replace("schema public", f'schema "{schema}"'))
        parts = urlsplit(postgresql.uri)
        uri = urlunsplit(parts._replace(netloc=f"{READER}@{parts.netloc.rpartition('@')[2]}"))
        return postgresql.sql, type(postgresql)("postgresql", uri).sql

    yield asked
    if postgresql.sql("select 1 as it from pg_roles where rolname = 'metabase'"):
        postgresql.sql("drop owned by metabase")
        postgresql.sql("drop role metabase")


def expected(rows: pd.DataFrame, runs: pd.DataFrame, *, with_empty: bool) -> dict[str, list[tuple[Any, ...]]]:
    """Compute the answers to some questions from the rows themselves."""
    count = Counter(zip(rows["tag"], rows["status"], strict=True))
    size = rows["tag"].value_counts()
    delivered = rows[rows["status"] == "delivered"]
    paris = delivered["status_at"].dt.tz_convert("Europe/Paris")
    final = rows[rows["status"] != "waiting"]
    shares = final.groupby("tag", observed=True)["status"].agg(lambda one: (one == "delivered").mean())
    rates = [
        (tag, size[tag], count[tag, "delivered"], shares[tag], tag == "relance") for tag in ("promo-nov", "relance")
    ]
    by_country = rows.groupby("country", observed=True)["status"].agg(
        ["size", lambda one: (one == "delivered").sum() / (one != "waiting").sum()]
    )
    days = delivered.groupby([paris.dt.date, "tag"], observed=True).size()
    return {
        "metabase: Delivered share by tag": [*rates, *([("empty", 0, 0, None, False)] if with_empty else [])],
        "metabase: Deliveries by day": [(day, tag, number) for (day, tag), number in days.items()],
        "metabase: Delivered share by country": sorted(
            by_country.itertuples(name=None), key=lambda one: (-one[1], one[0])
        ),
        "metabase: Still waiting": [("relance", count["relance", "waiting"], size["relance"])],
        "metabase: Quarantine": [("relance", "status_unknown", int(runs["rows_quarantined"].sum()))],
        "sql: People and campaigns": list(
            rows.groupby("phone_number")["tag"].nunique().value_counts().sort_index().items()
        ),
        "sql: At which hour of the day?": list(delivered.groupby(paris.dt.hour).size().items()),
    }


@pytest.mark.parametrize("engine", ["files", "duckdb", "postgresql"])
def test_questions(engine: str, asking: Any, load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block of SQL runs in every engine it is for, with its filter and without, and those on counts are right."""
    monkeypatch.chdir(tmp_path)
    load("data")
    owner, reader = asking(engine)
    answers = expected(pd.read_parquet("data/statuses"), pd.read_parquet("data/tag_runs"), with_empty=engine != "files")
    blocks = {heading: code for heading, code in sql_blocks(engine).items() if heading not in {VIEWS, FILE_VIEWS}}
    for heading, statements in blocks.items():
        ask = reader if heading.startswith("metabase") else owner
        for statement in statements:
            found = ask(re.sub(r"\[\[.*?\]\]", "", statement))
            if "{{tag}}" in statement:
                ask(statement.replace("[[", "").replace("]]", "").replace("{{tag}}", "'promo-nov'"))
        if heading in answers:
            got = [tuple(row[name] for name in COMPARED.get(heading, row)) for row in found]
            wanted = answers[heading]
            assert [tuple(map(rounded, row)) for row in got] == [tuple(map(rounded, row)) for row in wanted], heading
    assert len(answers.keys() & blocks.keys()) >= 5


def rounded(value: Any) -> Any:
    """Round what is computed in another order elsewhere."""
    return round(value, 12) if isinstance(value, float) else value


def test_the_role_sees_no_phone_number(asking: Any, load: Any, postgresql: Any) -> None:
    """The role of the page can read no table with phone numbers and no column of one; runs go on beside it."""
    owner, reader = asking("postgresql")
    for table in ("statuses", "quarantine", "loaded_tags"):
        with pytest.raises(Exception, match="permission denied"):
            reader(f"select tag from {table}")
    ours = "where table_schema not in ('pg_catalog', 'information_schema')"
    seen = {row["table_name"] for row in reader(f"select table_name from information_schema.table_privileges {ours}")}
    assert seen == {"campaigns", "messages", "invalid_rows", "tag_runs"}
    visible = reader(f"select column_name from information_schema.column_privileges {ours}")
    assert {"phone_number", "raw"} & {row["column_name"] for row in visible} == set()
    assert owner("select count(phone_number) as numbers from statuses")[0]["numbers"] > 0
    load(postgresql.uri)
    assert len(reader("select * from campaigns")) == len(TAGS)


def test_columns_and_types_in_power_query() -> None:
    """Each column that the M code names exists in the table it reads, with the type that the code gives it."""
    page = (PAGES / "power-bi.md").read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- not run: needs Power BI -->\n```powerquery\n(.+?)```", page, re.DOTALL)
    checked = 0
    for block in blocks:
        table = TAG_RUNS if "tag_runs" in block else STATUSES
        for name, kind in re.findall(r'\{"(\w+)", ((?:type \w+)|Int64\.Type)\}', block):
            assert M_TYPES[table[name].type] == kind, name
            checked += 1
        selected = [re.findall(r'"(\w+)"', names) for names in re.findall(r'\{("\w+"(?:, "\w+")+)\}', block)]
        assert [name for names in selected for name in names if name not in table.column_names] == []
        assert "phone_number" not in block
    assert (len(blocks), checked) == (4, 6 + 13 + 6)
    assert set(re.findall(r"statuses\[(\w+)\]", page)) <= set(STATUSES.column_names)
