"""The SQL that creates the tables."""

import duckdb
import pytest
from smspartner_schemas.contract import CONTRACT_VERSION, STATUSES, TAG_RUNS
from smspartner_schemas.sql import CAMPAIGNS, WAREHOUSE_TABLES, ddl, table_statements, version_in


@pytest.fixture
def database():
    """Yield an empty DuckDB."""
    with duckdb.connect(":memory:") as connection:
        yield connection


def test_runs_in_duckdb(database):
    """DuckDB creates every table and the view, and does so again without complaint."""
    database.execute(ddl("duckdb"))
    database.execute(ddl("duckdb"))
    found = database.execute(
        "SELECT table_name, column_name, is_nullable FROM duckdb_columns() WHERE NOT internal ORDER BY ALL"
    ).fetchall()
    # A key's columns are never nullable in the contract either.
    expected = [(table.name, column.name, column.nullable) for table in WAREHOUSE_TABLES for column in table.columns]
    assert found == sorted([*expected, *(("campaigns", name, True) for name, _, _ in CAMPAIGNS)])


def test_types_and_comments(database):
    """Types say time zones and lists; each column's meaning is its comment."""
    database.execute(ddl("duckdb"))
    found = database.execute(
        "SELECT column_name, data_type, comment FROM duckdb_columns() "
        "WHERE table_name = 'statuses' ORDER BY column_index"
    ).fetchall()
    types = ["VARCHAR", "VARCHAR", "INTEGER", "VARCHAR", "VARCHAR", "BOOLEAN", *["TIMESTAMP WITH TIME ZONE"] * 2]
    meanings = [column.meaning for column in STATUSES.columns]
    assert found == list(zip(STATUSES.column_names, [*types, "VARCHAR"], meanings, strict=True))
    found = database.execute("SELECT comment FROM duckdb_columns() WHERE table_name = 'campaigns'").fetchall()
    assert found == [(meaning,) for _, _, meaning in CAMPAIGNS]
    assert database.execute("SELECT comment FROM duckdb_views() WHERE view_name = 'campaigns'").fetchall()[0][0]
    ((comment,),) = database.execute("SELECT comment FROM duckdb_tables() WHERE table_name = 'tag_runs'").fetchall()
    assert comment.startswith(TAG_RUNS.meaning)
    assert (version_in(comment), version_in("Contract version")) == (CONTRACT_VERSION, 0)


def test_constraints(database, statuses):
    """DuckDB takes good rows, also with one key, whose index would cost much, and refuses unknown words and nulls."""
    database.execute(ddl("duckdb"))
    database.register("good", statuses({}, {"country": None}))
    database.execute("INSERT INTO statuses SELECT * FROM good")
    for bad in ({"status": "lost"}, {"stop_sms": None}):
        database.register("bad", statuses(bad))
        with pytest.raises(duckdb.ConstraintException):
            database.execute("INSERT INTO statuses SELECT * FROM bad")
    assert database.execute("SELECT count(*) FROM statuses").fetchall() == [(2,)]


def test_postgresql():
    """PostgreSQL gets its own types, the primary key, and an index on `tag` where the key is not one."""
    runs, statuses = (table_statements(table, "postgresql") for table in (TAG_RUNS, STATUSES))
    assert runs[0].splitlines()[:3] == [
        'CREATE TABLE IF NOT EXISTS "tag_runs" (',
        '    "run_id" text NOT NULL,',
        '    "tag" text NOT NULL,',
    ]
    allowed = "'delivered', 'not_delivered', 'waiting', 'ko'"
    assert f'"status" text NOT NULL CHECK ("status" IN ({allowed})),' in statuses[0]
    index = 'CREATE INDEX IF NOT EXISTS "{0}_tag" ON "{0}" ("tag")'
    assert index.format("tag_runs") in runs
    assert not [statement for statement in statuses if "CREATE INDEX" in statement]
    assert '    PRIMARY KEY ("tag", "phone_number", "occurrence")\n)' in statuses[0]
    assert "'the API''s `total`'" in ddl("postgresql")  # an apostrophe ends no comment
