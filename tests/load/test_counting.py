"""Rows are counted as a plain count of each row would."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from smspartner.errors import DestinationError
from smspartner_pipelines.load.counting import QUARTER_HOUR, columns_needed, count_parts, read_columns
from smspartner_schemas.arrow import empty_table
from smspartner_schemas.contract import QUARANTINE, STATUSES

START = datetime(2026, 11, 24, 17, 59, 59, 999_999, tzinfo=UTC)


def part_of(tag: str, *minutes: int | None) -> pa.Table:
    """Make rows of a tag by when, after the start, their status came."""
    return pa.table(
        {
            "tag": pa.array([tag] * len(minutes)).dictionary_encode(),
            "status_at": pa.array(
                [None if minute is None else START + timedelta(minutes=minute) for minute in minutes],
                pa.timestamp("us", "UTC"),
            ),
        }
    )


def test_groupings_of_parts() -> None:
    """Parts with dictionaries of their own are counted together, by quarters of an hour where that is asked for."""
    parts = [part_of("a", 0, 1, 15, None), part_of("b", 1, 2), part_of("a", 16)]
    by_tag, by_time = count_parts(parts, STATUSES, [("tag",), ("tag", QUARTER_HOUR)])
    assert Counter({row["tag"]: row["rows"] for row in by_tag.to_pylist()}) == {"a": 5, "b": 2}
    first = int(START.timestamp()) // 900
    counted = {(row["tag"], row[QUARTER_HOUR]): row["rows"] for row in by_time.to_pylist()}
    assert counted == {
        ("a", first): 1,
        ("a", first + 1): 2,
        ("a", first + 2): 1,
        ("a", None): 1,
        ("b", first + 1): 2,
    }


def test_a_row_counts_for_each_reason() -> None:
    """A row with two reasons counts once for each by reason, and once by tag."""
    reasons = pa.array([["x", "y"], ["x"]], pa.list_(pa.string()))
    rows = pa.table({"tag": pa.array(["a", "a"]).dictionary_encode(), "reasons": reasons})
    by_tag, by_reason = count_parts([rows], QUARANTINE, [("tag",), ("tag", "reasons")])
    assert by_tag.to_pylist() == [{"tag": "a", "rows": 2}]
    assert {row["reasons"]: row["rows"] for row in by_reason.to_pylist()} == {"x": 2, "y": 1}


def test_nothing_to_count() -> None:
    """Without rows there are no counts, with the same columns and types."""
    for parts in ([], [empty_table(STATUSES).select(["tag", "status_at"])]):
        (counts,) = count_parts(parts, STATUSES, [("tag", QUARTER_HOUR)])
        assert counts.schema == pa.schema([("tag", pa.string()), (QUARTER_HOUR, pa.int64()), ("rows", pa.int64())])
        assert counts.num_rows == 0


def test_only_what_is_needed_is_read(tmp_path) -> None:
    """Phone numbers and raw rows are never read to be counted; a damaged file is told by its name."""
    assert columns_needed(STATUSES, [("status", "tag"), (QUARTER_HOUR,)]) == ["tag", "status", "status_at"]
    (tmp_path / "torn.parquet").write_bytes(b"PAR1")
    with pytest.raises(DestinationError, match=r"torn\.parquet can't be read"):
        read_columns("torn.parquet", tmp_path / "torn.parquet", ["tag"])
