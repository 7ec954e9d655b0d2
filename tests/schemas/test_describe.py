"""The contract for people and programs."""

import json
import re
import subprocess
import sys

import yaml
from smspartner_schemas.contract import ACCEPTED, CONTRACT_VERSION, QUARANTINE, STATUSES, TABLES
from smspartner_schemas.describe import as_dbt_sources, as_json, as_table
from smspartner_schemas.sql import CAMPAIGNS, WAREHOUSE_TABLES


def test_as_table():
    """A table's columns are shown as Markdown, with the words a column is limited to."""
    assert as_table(STATUSES).splitlines()[:3] == [
        "| column | Arrow type | null | meaning |",
        "|---|---|---|---|",
        "| `tag` | string | no | the tag, as asked for |",
    ]
    assert "| `status` | string | no | `delivered`, `not_delivered`, `waiting`, `ko` |" in as_table(STATUSES)
    assert "| `status_at` | timestamp[us, UTC] | yes | the API's `date`; null where it gives none |" in as_table(
        STATUSES
    )
    assert "| `reasons` | list of string | no | every rule the row breaks |" in as_table(QUARANTINE)


def test_as_json():
    """The JSON states every table and column, and everything the contract says of them, bounds of 0 included."""
    contract = json.loads(as_json())
    assert contract["contract_version"] == CONTRACT_VERSION
    assert [
        (table["name"], table["primary_key"], [column["name"] for column in table["columns"]])
        for table in contract["tables"]
    ] == [(table.name, list(table.primary_key), list(table.column_names)) for table in TABLES]
    columns = {column["name"]: column for table in contract["tables"][:2] for column in table["columns"]}
    shared = {"name": "status", "type": "string", "meaning": "what became of the message", "nullable": False}
    assert columns["status"] == shared | {
        "categorical": True,
        "allowed": ["delivered", "not_delivered", "waiting", "ko"],
    }
    bounds = {"minimum": "2000-01-01T00:00:00+00:00", "maximum": "2100-01-01T00:00:00+00:00"}
    meaning = {"meaning": "the API's `date`; null where it gives none", "nullable": True}
    assert columns["status_at"] == {"name": "status_at", "type": "timestamp", **meaning, **bounds}
    assert columns["pages"]["minimum"] == 0


def test_as_dbt_sources():
    """The YAML states every table of a database with its key, and every column with its meaning and what it allows."""
    (source,) = yaml.safe_load(as_dbt_sources())["sources"]
    tables = {table["name"]: table for table in source["tables"]}
    assert list(tables) == [*(table.name for table in WAREHOUSE_TABLES), "campaigns"]
    for table in WAREHOUSE_TABLES:
        stated = tables[table.name]
        (key,) = [test["unique"]["arguments"]["column_name"] for test in stated["data_tests"]]
        assert (stated["description"], key.split(" || ' ' || ")) == (table.meaning, list(table.primary_key))
        for column, told in zip(table.columns, stated["columns"], strict=True):
            assert (told["name"], told["description"]) == (column.name, column.meaning)
            words = {"accepted_values": {"arguments": {"values": list(column.allowed)}}}
            wanted = ["not_null"] * (not column.nullable) + [words] * bool(column.allowed)
            assert told.get("data_tests", []) == wanted
    view = [(column["name"], column["description"]) for column in tables["campaigns"]["columns"]]
    assert view == [(name, meaning) for name, _, meaning in CAMPAIGNS]
    assert [name for name, table in tables.items() if "config" in table] == ["tag_runs"]
    freshness = tables["tag_runs"]["config"]["freshness"]
    assert set(re.findall(r"'(\w+)'", freshness["filter"])) == ACCEPTED


def test_starts_fast():
    """Printing the contract, or its SQL, imports neither pyarrow nor pandas nor numpy."""
    code = (
        "import sys; from smspartner_schemas import describe, sql; describe.as_json(); sql.ddl('duckdb'); "
        "print(sorted({'numpy', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
