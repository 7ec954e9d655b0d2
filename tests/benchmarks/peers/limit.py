"""The practical limit: a raw HTTP client in threads, JSON to Arrow natively, Parquet; nothing is checked.

Every peer is called as `NAME.py BASE_URL TAGS_FILE DIRECTORY`.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
import pyarrow.parquet as pq

IN_FLIGHT = 32
PAGE_ROWS = 1000
_BODIES = 100
"""Read as one piece of JSON, and written as one row group."""
_AHEAD = threading.BoundedSemaphore(3 * _BODIES)
"""Holds back the threads that fetch where they are faster than what comes after."""
_ROW = pa.struct({"phoneNumber": pa.string(), "status": pa.string(), "stopSMS": pa.bool_(), "date": pa.string()})
_SCHEMA = pa.schema({"total": pa.int64(), "StatutResponse_List": pa.list_(_ROW)})

Get = Callable[[str], bytes]
Body = tuple[str, bytes]


def read_json(bodies: Iterable[bytes]) -> pa.Table:
    """Read pages as a table with a line for each."""
    return pyarrow.json.read_json(
        io.BytesIO(b"\n".join(bodies)),
        read_options=pyarrow.json.ReadOptions(block_size=4 << 20),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=_SCHEMA, unexpected_field_behavior="ignore"),
    ).combine_chunks()


def to_rows(bodies: list[Body]) -> pa.Table:
    """Turn pages into rows with the columns and types that are wanted."""
    pages = read_json(body for _, body in bodies)["StatutResponse_List"].chunk(0)
    phone, status, stop, date = pages.flatten().flatten()
    columns = {
        "tag": pa.array([tag for tag, _ in bodies]).dictionary_encode().take(pc.list_parent_indices(pages)),
        "phone_number": phone,
        "status": status.dictionary_encode(),
        "stop_sms": stop,
        "status_at": date.cast(pa.int64()).cast(pa.timestamp("s", "UTC")).cast(pa.timestamp("us", "UTC")),
    }
    return pa.table(columns)


def fetch(get: Get, base_url: str, tags: list[str]) -> Iterator[Body]:
    """Read all pages of all tags: the first pages, then the further ones."""

    def ahead(url: str) -> bytes:
        _AHEAD.acquire()
        return get(url)

    start = f"{base_url}/bulk-status-by-tag?apiKey={os.environ['SMSPARTNER_API_KEY']}&tag="
    with ThreadPoolExecutor(IN_FLIGHT) as threads:
        further: list[tuple[str, str]] = []
        for tag, body in zip(tags, threads.map(ahead, (start + tag for tag in tags)), strict=True):
            total = int(body[: body.index(b'"StatutResponse_List"')].split(b'"total":')[1].strip(b" ,"))
            further += ((tag, f"{start}{tag}&page={page}") for page in range(2, -(-total // PAGE_ROWS) + 1))
            yield tag, body
        for (tag, _), body in zip(further, threads.map(ahead, (url for _, url in further)), strict=True):
            yield tag, body


def in_threads(bodies: Iterator[Body]) -> Iterator[pa.Table]:
    """Turn pages into tables, some at once, in two threads beside those that fetch."""
    with ThreadPoolExecutor(2) as threads:
        under_way: deque[Future[pa.Table]] = deque()
        while some := list(islice(bodies, _BODIES)):
            _AHEAD.release(len(some))
            under_way.append(threads.submit(to_rows, some))
            if len(under_way) > 2:
                yield under_way.popleft().result()
        yield from (future.result() for future in under_way)


def main(get: Get) -> None:
    """Read everything, write one file."""
    base_url, tags, directory = sys.argv[1:]
    bodies = fetch(get, base_url, Path(tags).read_text(encoding="utf-8").split())
    writer = None
    for rows in in_threads(bodies):
        writer = writer or pq.ParquetWriter(Path(directory, "statuses.parquet"), rows.schema, compression="zstd")
        writer.write_table(rows)
    if writer:
        writer.close()


if __name__ == "__main__":
    import urllib3

    pool = urllib3.PoolManager(maxsize=IN_FLIGHT)
    main(lambda url: pool.request("GET", url).data)
