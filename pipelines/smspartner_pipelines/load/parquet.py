"""How this product writes and reads Parquet: compression, encodings, statistics, and the state of a tag in a footer."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import CONTRACT_VERSION, LOADED_TAGS

from smspartner_pipelines.load.destination import Damage, LoadedTag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from smspartner_schemas.contract import Table

ENDING = ".parquet"

ROW_GROUP_ROWS = 128 * 1024
_PIECE_ROWS = 100_000

TAIL = 16 * 1024
"""Bytes from the end of a file: more than the footer of one row group takes."""

DAMAGED = "is damaged, or is no file of this product"
_NEWER = "was written by a newer version of this product"
_RENAMED = "was renamed or copied after it was loaded, and must be moved away"

_UNREADABLE = (pa.ArrowException, OSError, LookupError, TypeError, ValueError, AttributeError)
"""What reading a file raises that is damaged, or of another product."""

_KEY = "smspartner"
"""The footer's key; its value is JSON."""

_FACTS = b'{"contract_version": '
"""How that JSON begins. No name or statistic of a footer looks like it: tags hold no white space."""

_PERSONAL = ("phone_number", "raw")
"""Columns without statistics: their least and greatest value would stand in the footer, which holds no phone number."""

_ONE_BLOCK = 8 * 1024
"""Bytes of rows in memory, whose file takes a block of the disk or two, packed or not."""

_MAGIC_AND_LENGTH = 8


def file_name(tag: str) -> str:
    """Return the name of the files that hold `tag`: a readable slug, then a hash of the tag.

    It is lower-case ASCII letters, digits and `-`, for any tag, so that no tag leaves the folder and none is
    another one on a file system that is blind to case.
    """
    ascii_tag = unicodedata.normalize("NFKD", tag).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_tag).strip("-")[:40]
    digest = hashlib.sha256(tag.encode()).hexdigest()[:16]
    return f"{slug}-{digest}{ENDING}" if slug else f"{digest}{ENDING}"


def parquet_bytes(rows: pa.Table, table: Table, state: LoadedTag | None = None) -> bytes:
    """Make a whole Parquet file of `rows` of `table`; the `state` of its tag stands in its footer as JSON.

    It is made in memory: it comes in thirty pieces, for each of which Python would wait for its turn among the threads
    that fetch. Setting up zstd takes half the time of a few rows, which stay unpacked.
    """
    memory = pa.BufferOutputStream()
    writer = open_writer(memory, table, pack=rows.nbytes > _ONE_BLOCK)
    writer.write_table(rows.unify_dictionaries(), row_group_size=ROW_GROUP_ROWS)
    if state is not None:
        facts = {"contract_version": CONTRACT_VERSION, **vars(state)}
        writer.add_key_value_metadata({_KEY: json.dumps(facts, default=datetime.isoformat)})
    writer.close()
    return bytes(memory.getvalue().to_pybytes())


def state_in(end: bytes, name: str) -> LoadedTag | str:
    """Read what is loaded of a tag from the end of a file called `name`, or say what is wrong with the file.

    `end` holds at least the footer. The facts in it are found by how they begin, which takes microseconds; PyArrow
    takes 70 for a whole footer. A fact that this version does not know is passed over.
    """
    try:
        if not holds_footer(end):
            return DAMAGED
        at = end.rindex(_FACTS, len(end) - _footer_size(end))
        facts, _ = json.JSONDecoder().raw_decode(end[at:].decode("latin-1"))
        if facts["contract_version"] > CONTRACT_VERSION:
            return _NEWER
        newest = facts["newest_status_at"] and datetime.fromisoformat(facts["newest_status_at"])
        times = {"newest_status_at": newest, "extracted_at": datetime.fromisoformat(facts["extracted_at"])}
        state = LoadedTag(**{fact: facts[fact] for fact in LOADED_TAGS.column_names} | times)
        return state if name == file_name(state.tag) else _RENAMED
    except _UNREADABLE:
        return DAMAGED


def holds_footer(end: bytes) -> bool:
    """Return whether the last bytes of a file hold its whole footer, which says at its end how long it is."""
    return end[-4:] == b"PAR1" and _footer_size(end) <= len(end)


def _footer_size(end: bytes) -> int:
    return int.from_bytes(end[-_MAGIC_AND_LENGTH:-4], "little") + _MAGIC_AND_LENGTH


def read_rows(content: bytes, table: Table, columns: Sequence[str]) -> pa.Table | None:
    """Read columns of a whole Parquet file of `table`, in the types of the contract; None where it is none.

    A byte that changed since is found by the checksum of its page; in a file without checksums, at least text stays
    text.
    """
    try:
        with pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True) as file:
            if not file.schema_arrow.equals(_plain_schema(table)):
                return None
            rows = file.read(columns=list(columns), use_threads=False)
        rows.validate(full=True)
        return rows.select(columns).cast(pa.schema([arrow_schema(table).field(name) for name in columns]))
    except _UNREADABLE:
        return None


def in_pieces(parts: Iterable[pa.Table | Damage | None], damages: list[Damage]) -> Iterator[pa.Table]:
    """Put the rows of many small files together; Damage is set aside."""
    gathered: list[pa.Table] = []
    rows = 0
    for part in parts:
        if isinstance(part, Damage):
            damages.append(part)
        elif part is not None:
            gathered.append(part)
            rows += part.num_rows
        if rows >= _PIECE_ROWS:
            yield pa.concat_tables(gathered).unify_dictionaries().combine_chunks()
            gathered, rows = [], 0
    if gathered:
        yield pa.concat_tables(gathered).unify_dictionaries().combine_chunks()


def open_writer(sink: Any, table: Table, *, pack: bool = True) -> Any:
    """Return a `pyarrow.parquet.ParquetWriter` for rows of `table`; what it writes at once is a row group.

    zstd level 1 takes half of snappy's space at the same speed. Categorical columns are dictionary-encoded; the others
    gain nothing by it.
    """
    return pq.ParquetWriter(
        sink,
        _plain_schema(table),
        compression="zstd" if pack else "none",
        compression_level=1 if pack else None,
        use_dictionary=[column.name for column in table.columns if column.categorical],
        write_statistics=[column.name for column in table.columns if column.name not in _PERSONAL],
        write_page_checksum=True,
    )


@cache
def _plain_schema(table: Table) -> pa.Schema:
    """Leave out the meanings of columns: they would double the time to read thousands of footers."""
    return pa.schema([field.remove_metadata() for field in arrow_schema(table)])
