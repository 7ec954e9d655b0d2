"""What the pages for analysts and BI teams tell them to paste runs, and gives the right answers."""

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
from smspartner_schemas.campaigns import CAMPAIGNS
from smspartner_schemas.contract import STATUSES, TAG_RUNS

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


def page(name: str) -> str:
    """Read a page."""
    return (PAGES / name).read_text(encoding="utf-8")


def sql_blocks(engine: str) -> dict[str, list[list[str]]]:
    """Give the statements of each block of SQL that is for an engine, by page and heading."""
    found: dict[str, list[list[str]]] = {}
    for name in ("metabase.md", "sql.md", "power-bi.md"):
        for section in re.split(r"^#+ ", page(name), flags=re.MULTILINE)[1:]:
            heading = f"{name.removesuffix('.md')}: {section.splitlines()[0]}"
            for engines, code in re.findall(
                r"<!-- on: ([a-z, ]+) -->\n<!-- run by: tests/docs/test_bi\.py -->\n```sql\n(.+?)```",
                section,
                re.DOTALL,
            ):
                if engine in engines.split(", "):
                    found.setdefault(heading, []).append([one.strip() for one in code.split(";") if one.strip()])
    return found


def as_metabase_sends(statement: str, tag: str | None) -> str:
    """Fill in a question's filter as Metabase does, or leave it out."""
    if tag is None:
        return re.sub(r"\[\[.*?\]\]", "", statement)
    return statement.replace("[[", "").replace("]]", "").replace("{{tag}}", f"'{tag}'")


@pytest.fixture(scope="module")
def module_sandbox() -> Iterator[Sandbox]:
    """A sandbox whose clock stands still, where `relance` is under way and has rows that can't be believed."""
    now = time.time()
    with Sandbox(clock=lambda: now, faults=[Fault("bad_status", tag="relance")]) as sandbox:
        yield sandbox


@pytest.fixture
def load(module_sandbox: Sandbox, connect: Callable[..., Connection]) -> Callable[..., None]:
    """Load the tags into destinations."""
    return lambda *to, tags=TAGS: run(
        RunSettings(tags=(*tags, "never-sent"), connection=connect(module_sandbox), to=to, validate="contract")
    )


Ask = Callable[[str], list[dict[str, Any]]]
VIEWS = "metabase: Views without phone numbers, and a role that sees nothing else"
READER = "metabase:choose-a-password"


def asking_duckdb(file: Path) -> Ask:
    """Ask a DuckDB file, opened anew for each question."""

    def ask(statement: str) -> list[dict[str, Any]]:
        with duckdb.connect(str(file)) as connection:
            found = connection.sql(statement)
            return found.to_arrow_table().to_pylist() if found else []

    return ask


@pytest.fixture
def on_files(load: Any, tmp_path: Path) -> tuple[Ask, Ask]:
    """A file of views over the dataset."""
    ask = asking_duckdb(tmp_path / "views.duckdb")
    for statement in sql_blocks("files")["sql: Views of the files"][0]:
        ask(statement)
    return ask, ask


@pytest.fixture
def on_duckdb(load: Any, tmp_path: Path) -> tuple[Ask, Ask]:
    """A DuckDB file that was loaded, with the views of the page."""
    load(f"duckdb:{tmp_path / 'sms.duckdb'}")
    ask = asking_duckdb(tmp_path / "sms.duckdb")
    for statement in sql_blocks("postgresql")[VIEWS][0][:2]:
        ask(statement)
    return ask, ask


@pytest.fixture
def on_postgresql(load: Any, postgresql: Any) -> Iterator[tuple[Ask, Ask]]:
    """A schema that was loaded, with the views and the role of the page; ask as the owner, and as that role."""
    load(postgresql.uri)
    schema = postgresql.sql("select current_schema() as name")[0]["name"]
    try:
        for statement in sql_blocks("postgresql")[VIEWS][0]:
            postgresql.sql(statement.replace("schema public", f'schema "{schema}"'))
        parts = urlsplit(postgresql.uri)
        uri = urlunsplit(parts._replace(netloc=f"{READER}@{parts.netloc.rpartition('@')[2]}"))
        yield postgresql.sql, type(postgresql)("postgresql", uri).sql
        load(postgresql.uri)  # runs go on beside views and role
        assert len(type(postgresql)("postgresql", uri).sql("select * from campaigns")) == len(TAGS)
    finally:
        postgresql.sql("drop owned by metabase")
        postgresql.sql("drop role metabase")


def delivered_in(rows: pd.DataFrame, *by: Any) -> Any:
    """Count the deliveries in groups."""
    return rows[rows["status"] == "delivered"].groupby(list(by), observed=True).size()


def expected(rows: pd.DataFrame, runs: pd.DataFrame, *, with_empty: bool) -> dict[str, list[tuple[Any, ...]]]:
    """Compute what some questions must answer, from the rows themselves."""
    count = Counter(zip(rows["tag"], rows["status"], strict=True))
    size = rows["tag"].value_counts()
    paris = rows["status_at"].dt.tz_convert("Europe/Paris")
    waiting = count["relance", "waiting"]
    rates = [
        (tag, size[tag], count[tag, "delivered"], count[tag, "delivered"] / size[tag], tag == "relance")
        for tag in ("promo-nov", "relance")
    ]
    by_country = rows.groupby("country", observed=True)["status"].agg(["size", lambda one: (one == "delivered").mean()])
    people = rows.groupby("phone_number")["tag"].nunique().value_counts().sort_index()
    quarantined = int(runs["rows_quarantined"].sum())
    return {
        "metabase: Delivery rate by tag": [*rates, *([("empty", 0, 0, None, False)] if with_empty else [])],
        "metabase: Deliveries by day": [
            (day, tag, number) for (day, tag), number in delivered_in(rows, paris.dt.date, "tag").items()
        ],
        "metabase: Delivery rate by country": sorted(
            by_country.itertuples(name=None), key=lambda one: (-one[1], one[0])
        ),
        "metabase: Still waiting": [("relance", waiting, size["relance"])],
        "metabase: Quarantine": [("relance", "status_unknown", quarantined)],
        "sql: People and campaigns": list(people.items()),
        "sql: At which hour of the day?": list(delivered_in(rows, paris.dt.hour).items()),
    }


COLUMNS = {
    "metabase: Delivery rate by tag": ("tag", "messages", "delivered", "delivery_rate", "still_waiting"),
    "metabase: Still waiting": ("tag", "waiting", "messages"),
}
"""What is compared of an answer, where it is not all."""


@pytest.mark.parametrize("engine", ["files", "duckdb", "postgresql"])
def test_questions(engine: str, request: pytest.FixtureRequest, load: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """Every block of SQL runs in every engine it is for, with its filter and without, and those on counts are right."""
    monkeypatch.chdir(tmp_path)
    load("data")
    owner, reader = request.getfixturevalue(f"on_{engine}")
    rows, runs = pd.read_parquet("data/statuses"), pd.read_parquet("data/tag_runs")
    answers = expected(rows, runs, with_empty=engine != "files")
    asked = set()
    for heading, blocks in sql_blocks(engine).items():
        if heading in {VIEWS, "sql: Views of the files"}:
            continue
        for block in blocks:
            ask = reader if heading.startswith("metabase") else owner
            for statement in block:
                found = ask(as_metabase_sends(statement, None))
                if "{{tag}}" in statement:
                    ask(as_metabase_sends(statement, "promo-nov"))
            if heading in answers:
                got = [tuple(row[name] for name in COLUMNS.get(heading, row)) for row in found]
                assert same(got, answers[heading]), heading
                asked.add(heading)
    assert asked == {heading for heading in answers if heading in sql_blocks(engine)}


def same(got: list[tuple[Any, ...]], wanted: list[tuple[Any, ...]]) -> bool:
    """Compare answers, floats as far as floats go."""
    return len(got) == len(wanted) and all(
        a == pytest.approx(b) if isinstance(b, float) else a == b
        for row, other in zip(got, wanted, strict=True)
        for a, b in zip(row, other, strict=True)
    )


def test_the_role_sees_no_phone_number(on_postgresql: tuple[Ask, Ask]) -> None:
    """The role of the page can read neither the tables with phone numbers nor a column of one."""
    owner, reader = on_postgresql
    for table in ("statuses", "quarantine", "loaded_tags"):
        with pytest.raises(Exception, match="permission denied"):
            reader(f"select tag from {table}")
    ours = "where table_schema not in ('pg_catalog', 'information_schema')"
    seen = {row["table_name"] for row in reader(f"select table_name from information_schema.table_privileges {ours}")}
    assert {"campaigns", "messages", "doubted", "tag_runs"} == seen
    visible = reader(f"select column_name from information_schema.column_privileges {ours}")
    assert {"phone_number", "raw"} & {row["column_name"] for row in visible} == set()
    assert owner("select count(phone_number) as numbers from statuses")[0]["numbers"] > 0


def test_columns_and_types_in_power_query() -> None:
    """Each column that the M code names exists in the table it reads, with the type that the code gives it."""
    blocks = re.findall(r"<!-- not run: needs Power BI -->\n```powerquery\n(.+?)```", page("power-bi.md"), re.DOTALL)
    assert len(blocks) == len(re.findall("```powerquery", page("power-bi.md"))) == 4
    checked = 0
    for block in blocks:
        table = TAG_RUNS if "tag_runs" in block else STATUSES
        for name, kind in re.findall(r'\{"(\w+)", ((?:type \w+)|Int64\.Type)\}', block):
            assert M_TYPES[table[name].type] == kind, name
            checked += 1
        selected = [re.findall(r'"(\w+)"', names) for names in re.findall(r'\{("\w+"(?:, "\w+")+)\}', block)]
        assert [name for names in selected for name in names if name not in table.column_names] == []
        assert "phone_number" not in block
    assert checked == 6 + 13 + 6
    named = set(re.findall(r"statuses\[(\w+)\]", page("power-bi.md")))
    assert named <= set(STATUSES.column_names)
    assert "read_at" in {column.name for column in CAMPAIGNS}


@pytest.mark.parametrize("name", ["notebooks.md", "metabase.md", "sql.md", "power-bi.md"])
def test_nothing_on_the_pages_is_unmarked_or_leads_nowhere(name: str) -> None:
    """Each block of SQL, Python and M is run or says why not, and each link leads to a page and a heading of it."""
    text = page(name)
    unmarked = re.findall(r"(?<!-->\n)```(?:sql|python|powerquery)\n", text)
    assert unmarked == []
    for target, anchor in re.findall(r"\]\((?!https)([^)#]*)#?([^)]*)\)", text):
        linked = (PAGES / (target or name)).resolve()
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}
