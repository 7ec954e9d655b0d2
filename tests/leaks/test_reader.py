"""The reader that all tests here rely on finds what is there: else their silence would mean nothing."""

from __future__ import annotations

import base64
import html
import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

SPELLINGS = {
    "raw": lambda key: key,
    "percent": lambda key: quote(key, safe=""),
    "form": quote_plus,
    "percent, lower case": lambda key: quote(key, safe="").lower() if not key.isalnum() else key,
    "percent, twice": lambda key: quote(quote(key, safe=""), safe=""),
    "half encoded": lambda key: "".join(f"%{ord(c):02x}" if place % 2 else c for place, c in enumerate(key)),
    "html": html.escape,
    "entities": lambda key: "".join(f"&#{ord(character)};" for character in key),
    "json": lambda key: "".join(f"\\u{ord(character):04x}" for character in key),
    "json in json": lambda key: json.dumps(json.dumps({"x": quote(key)})),
    "repr of bytes": lambda key: repr(repr(f"GET /?k={quote(key)}".encode())),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 of more": lambda key: base64.urlsafe_b64encode(f"xy:{quote(key)}:z".encode()).decode(),
    "hexadecimal": lambda key: f"ab{key.encode().hex()}".upper(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_key_is_found(leaks: Any, key: str, spelling: str) -> None:
    """In the middle of other text, each spelling of a key is found."""
    text = f'2026-11-24 DEBUG x: "GET /v1?a={SPELLINGS[spelling](key)}&b" 200'
    assert leaks.of_keys({"log": text, "other": text[:10]}) == ["log"]


@pytest.mark.parametrize(
    "number", ["+33639980001", "0639980001", "06 39 98 00 01", "+33 (6).39-98.00", "%2B33639980001"]
)
def test_a_number_is_found(leaks: Any, number: str) -> None:
    """However it is grouped, a number is found; times and counts are no numbers."""
    assert leaks.of_numbers({"log": f"lost at {number}!", "other": "2026-11-24T08:15:07.123456Z 1,639,981"}) == ["log"]


def test_files_are_read(leaks: Any, files: Any, here: Any, key: str) -> None:
    """A key is found in a file's name, in a value, in the metadata and in the statistics of Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"x": ["a", "b"]})
    pq.write_table(table, here / "clean.parquet")
    pq.write_table(pa.table({"x": [key]}), here / "value.parquet", compression="zstd")
    pq.write_table(table.replace_schema_metadata({"seen": quote(key)}), here / "metadata.parquet")
    (here / f"{key.replace('/', '')}.txt").write_text("x")
    (here / "json.json").write_text(json.dumps({"key": key}))
    found = {"json.json", "metadata.parquet", "value.parquet"} | ({f"{key}.txt"} if key.isalnum() else set())
    assert set(leaks.of_keys(files())) == found
