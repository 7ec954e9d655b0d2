"""Counts the rows a contestant has written, and sums their hashes, whatever their order and the types of their columns.

python checksum.py DIRECTORY reads the Parquet there; python checksum.py TAGS ROWS says what it must hold.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from loopback_server import FIRST_DATE, WORDS, row_digits

_SPELLINGS = (("tag", "_tags_tag"), ("phone_number", "phoneNumber"), ("status",), ("status_at", "date"))
_BATCH_ROWS = 250_000


def written(directory: Path) -> Iterator[pd.DataFrame]:
    """Read what stands in `statuses.parquet` or in folders called `statuses`."""
    for path in sorted(directory.rglob("*.parquet")):
        if path.stem != "statuses" and "statuses" not in path.relative_to(directory).parts[:-1]:
            continue
        file = pq.ParquetFile(path)
        columns = [next(name for name in names if name in file.schema_arrow.names) for names in _SPELLINGS]
        for batch in file.iter_batches(_BATCH_ROWS, columns=columns):
            tag, phone, status, date = (batch.column(name) for name in columns)
            yield _frame(tag, phone, status, _seconds(date))


def expected(tags: int, rows: int) -> Iterator[pd.DataFrame]:
    """Give what the server sends, tag by tag."""
    width = row_digits(rows)
    places = [f"{place:0{width}d}" for place in range(rows)]
    status = pa.array([WORDS[place % len(WORDS)] for place in range(rows)])
    dates = pa.array(range(FIRST_DATE, FIRST_DATE + rows), pa.int64())
    for tag in range(tags):
        start = "+336" + str(tag).zfill(8 - width)[width - 8 :]
        yield _frame(pa.array([f"tag-{tag}"] * rows), pa.array([start + place for place in places]), status, dates)


def _frame(tag: pa.Array, phone: pa.Array, status: pa.Array, seconds: pa.Array) -> pd.DataFrame:
    words = pc.replace_substring(pc.utf8_lower(status.cast(pa.string())), " ", "_")
    columns = {"tag": tag.cast(pa.string()), "phone": phone.cast(pa.string()), "status": words, "date": seconds}
    frame: pd.DataFrame = pa.table(columns).to_pandas()
    return frame


def _seconds(date: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(date.type):
        date = date.cast(pa.timestamp("s", date.type.tz))
    return date.cast(pa.int64())


def summed(frames: Iterator[pd.DataFrame]) -> dict[str, int]:
    """Count rows and sum their hashes, modulo 2**64."""
    rows = total = 0
    for frame in frames:
        rows += len(frame)
        total += int(pd.util.hash_pandas_object(frame, index=False).sum())
    return {"rows": rows, "checksum": total % 2**64}


def main() -> None:
    """Print both as JSON."""
    frames = written(Path(sys.argv[1])) if len(sys.argv) == 2 else expected(int(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.write(json.dumps(summed(frames)) + "\n")


if __name__ == "__main__":
    main()
