"""The contract for people and programs."""

import json
import subprocess
import sys

from smspartner_schemas.contract import CONTRACT_VERSION, QUARANTINE, STATUSES, TABLES
from smspartner_schemas.describe import as_json, as_table


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
    """The JSON states every table and column, and everything the contract says of them."""
    contract = json.loads(as_json())
    assert contract["contract_version"] == CONTRACT_VERSION
    assert [(table["name"], table["primary_key"]) for table in contract["tables"]] == [
        (table.name, list(table.primary_key)) for table in TABLES
    ]
    assert [[column["name"] for column in table["columns"]] for table in contract["tables"]] == [
        list(table.column_names) for table in TABLES
    ]
    columns = {column["name"]: column for column in contract["tables"][0]["columns"]}
    assert columns["status_at"] == {
        "name": "status_at",
        "type": "timestamp",
        "meaning": "the API's `date`; null where it gives none",
        "nullable": True,
        "minimum": "2000-01-01T00:00:00+00:00",
        "maximum": "2100-01-01T00:00:00+00:00",
    }
    assert columns["status"] == {
        "name": "status",
        "type": "string",
        "meaning": "what became of the message",
        "nullable": False,
        "categorical": True,
        "allowed": ["delivered", "not_delivered", "waiting", "ko"],
    }


def test_bounds_of_zero_are_stated():
    """A minimum of 0 is a statement, not an absence."""
    tag_runs = json.loads(as_json())["tables"][1]
    assert [column["minimum"] for column in tag_runs["columns"] if column["name"] == "pages"] == [0]


def test_starts_fast():
    """Printing the contract, or its SQL, imports neither pyarrow nor pandas nor numpy."""
    code = (
        "import sys; from smspartner_schemas import describe, sql; describe.as_json(); sql.ddl('duckdb'); "
        "print(sorted({'numpy', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
