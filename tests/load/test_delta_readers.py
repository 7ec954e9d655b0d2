"""Other programs read a lake: the same rows as were loaded, also of tags that are hard on paths."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from smspartner_pipelines.load import open_destination

READERS = os.environ.get("SMSPARTNER_TEST_READERS", "")
"""A Python with duckdb, duckdb-extension-delta, pyspark and deltalake."""

TAGS = [
    *("../../x", "..", ".", "a/b", "a\\b", "A", "a", "con", "NUL", "%00", "~", "-rf", "_hidden", ".hidden", "*", "?"),
    *("'", '"', "$HOME", "été", "e\u0301te\u0301", "\U0001f600" * 20, "x.parquet", "tag=1", "+33612345678", "a" * 20),
    *("a%2Fb", "01", "1", "null", "true", "2026-01-01", "<>|:&#{}[]", "__HIVE_DEFAULT"),
]

pytestmark = pytest.mark.skipif(
    not READERS, reason="needs SMSPARTNER_TEST_READERS: a Python with duckdb, its delta extension, and pyspark"
)


@pytest.fixture
def read():
    """Read a lake by other programs, and give the rows of each."""

    def run(here, *readers):
        script = Path(__file__).with_name("lake_readers.py")
        environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C.UTF-8"}
        environment |= {name: os.environ[name] for name in ("JAVA_HOME",) if name in os.environ}
        environment["PYSPARK_PYTHON"] = READERS
        done = subprocess.run(
            [READERS, str(script), str(here / "statuses"), *readers],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
            timeout=180,
        )
        assert done.returncode == 0, done.stderr
        return {name: sorted(rows, key=str) for name, rows in json.loads(done.stdout.splitlines()[-1]).items()}

    return run


def test_rows_of_all_readers(tmp_path, make_snapshot, read):
    """DuckDB, DataFusion and Spark find the rows of today, of every tag, and none of what was replaced."""
    old = [make_snapshot(tag, 4, quarantined=1) for tag in TAGS]
    new = [make_snapshot(tag, 3, run_id="20261124T180000Z-ef56ab78") for tag in TAGS]
    lake = open_destination(f"delta:{tmp_path / 'lake'}")
    with lake.open(for_loading=True):
        for snapshots in (old, new):
            list(lake.replace(snapshots))
    expected = json.loads(
        json.dumps([row for one in new for row in one.table.to_pylist()], default=lambda time: time.isoformat())
    )
    found = read(tmp_path / "lake", "duckdb", "datafusion", "spark")
    for name, rows in found.items():
        assert sorted(expected, key=str) == rows, name
