"""Another program reads a lake by itself: the same rows as were loaded, also of tags that are hard on paths."""

import json
import os
import subprocess

import pytest
from smspartner_pipelines.load import open_destination

READERS = os.environ.get("SMSPARTNER_TEST_READERS", "")
"""A Python with duckdb and duckdb-extension-delta."""

TAGS = [
    *("../../x", "..", ".", "a/b", "a\\b", "A", "a", "con", "NUL", "%00", "~", "-rf", "_hidden", ".hidden", "*", "?"),
    *("'", '"', "$HOME", "été", "e\u0301te\u0301", "\U0001f600" * 20, "x.parquet", "tag=1", "+33612345678", "a" * 20),
    *("a%2Fb", "01", "1", "null", "true", "2026-01-01", "<>|:&#{}[]", "__HIVE_DEFAULT"),
]

BY_DUCKDB = """
import json, sys, duckdb, duckdb_extension_delta
from pathlib import Path
(extension,) = Path(duckdb_extension_delta.__path__[0]).rglob("delta.duckdb_extension")
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
connection.load_extension(str(extension))
connection.execute("SET TimeZone = 'UTC'")
found = connection.execute("FROM delta_scan(?)", [sys.argv[1]]).to_arrow_table().to_pylist()
print(json.dumps(found, default=lambda time: time.isoformat()))
"""
"""DuckDB reads the log by its own extension, which is a package here, so that nothing is fetched."""


@pytest.mark.skipif(not READERS, reason="needs SMSPARTNER_TEST_READERS: a Python with duckdb and its delta extension")
def test_rows_of_another_reader(tmp_path, make_snapshot):
    """DuckDB finds the rows of today, of every tag, and none of what was replaced."""
    new = [make_snapshot(tag, 3, run_id="20261124T180000Z-ef56ab78") for tag in TAGS]
    lake = open_destination(f"delta:{tmp_path / 'lake'}")
    with lake.open(for_loading=True):
        for snapshots in ([make_snapshot(tag, 4, quarantined=1) for tag in TAGS], new):
            list(lake.replace(snapshots))
    command = [READERS, "-c", BY_DUCKDB, str(tmp_path / "lake" / "statuses")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8", timeout=180)
    assert done.returncode == 0, done.stderr
    rows = [row for one in new for row in one.table.to_pylist()]
    expected = json.loads(json.dumps(rows, default=lambda time: time.isoformat()))
    assert sorted(json.loads(done.stdout), key=str) == sorted(expected, key=str)
