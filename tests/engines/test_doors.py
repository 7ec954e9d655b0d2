"""The same tags through every door give the same rows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from smspartner_pipelines.sandbox import Campaign, Fault
from smspartner_schemas.contract import STATUSES

OF_THE_RUN = ("extracted_at", "run_id")
"""Columns that differ from run to run."""
SENT_AT = 1_700_000_000


@pytest.fixture
def sandbox(start_sandbox: Any) -> Any:
    """Campaigns of several pages, of one row and of none, with numbers sent to twice, and rows of odd shapes."""
    campaigns = [Campaign(f"tag-{size}", size, sent_at=SENT_AT, seed=size) for size in (0, 1, 37, 250)]
    twice = '{"phoneNumber": "06 12 34 56 78", "statut": "delivered", "stopSms": "1", "date": "2023-11-14 23:13:20"}'
    campaigns.append(Campaign.of_rows("Été!", [twice, twice]))
    return start_sandbox(campaigns, page_size=50, faults=[Fault("server_error", tag="tag-37", times=1)])


@pytest.fixture
def tags_file(tmp_path: Path) -> Path:
    """The tags to ask for."""
    path = tmp_path / "tags.txt"
    path.write_text("tag-0\ntag-1\ntag-37 # fails once\n\ntag-250\nÉté!\n", encoding="utf-8")
    return path


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """The rows, in the order of their key, without what differs from run to run."""
    assert sorted(STATUSES.column_names) == sorted(table.column_names)
    plain = table.select([name for name in STATUSES.column_names if name not in OF_THE_RUN])
    return sorted(plain.to_pylist(), key=lambda row: tuple(row[name] for name in STATUSES.primary_key))


@pytest.fixture
def loaded(sandbox: Any, tags_file: Path, tmp_path: Path, settings: Any) -> list[dict[str, Any]]:
    """What the command line loads."""
    command = [Path(sys.executable).with_name("smspartner"), "run", "--tags-file", tags_file, "--to", "data", "--quiet"]
    subprocess.run(command, check=True, cwd=tmp_path, env={**os.environ, **settings(sandbox)})
    return rows_of(pa.dataset.dataset(tmp_path / "data" / "statuses", format="parquet").to_table())


@pytest.fixture
def read_through(engine: Any, sandbox: Any, tags_file: Path, tmp_path: Path, settings: Any) -> Any:
    """Read the tags through a door, and give the rows."""

    def read(door: str) -> list[dict[str, Any]]:
        out = tmp_path / "out.parquet"
        ended = engine(door, f"{door}_rows.py", tags_file, out, **settings(sandbox))
        assert ended.returncode == 0, ended.stderr
        return rows_of(pq.read_table(out))

    return read


@pytest.mark.parametrize("door", ["pandas", "spark", "dlt", "airflow", "dagster"])
def test_every_door_gives_the_same_rows(door: str, loaded: Any, read_through: Any) -> None:
    """Whoever reads tags through another door has the rows that the command line loads, value by value."""
    assert len(loaded) == 1 + 37 + 250 + 2
    assert read_through(door) == loaded
