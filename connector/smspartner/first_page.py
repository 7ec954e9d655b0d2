"""A digest of the rows of a tag's first page as they are loaded: it says later whether the tag must be read again.

SHA-256 over the columns phone_number, status, stop_sms and status_at of the page's rows, in API order. The columns are
hashed as they lie in memory (little-endian), since tags of few rows are many. Numbers need nothing between them: they
begin with a plus, or have all one length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from smspartner_schemas.contract import STATUS_WORDS

_NO_DATE = np.iinfo(np.int64).min


def digests(rows: pa.Table, ranges: Iterable[tuple[int, int]]) -> list[str]:
    """Give the digest (hexadecimal) of each range of rows, from begin to before end.

    `rows` has the columns phone_number (string), status (dictionary of strings), stop_sms and status_at of `statuses`,
    of which only the last may be null.
    """
    number, status, stop, date = (
        rows[name].combine_chunks() for name in ("phone_number", "status", "stop_sms", "status_at")
    )
    words = pc.index_in(status.dictionary, pa.array(STATUS_WORDS, pa.string()))
    columns = (
        np.asarray(words.take(status.indices), dtype="<i4"),
        np.asarray(stop).astype(np.uint8),
        np.asarray(pc.fill_null(date.cast(pa.int64()), _NO_DATE), dtype="<i8"),
    )
    ends = np.frombuffer(number.buffers()[1] or b"\0\0\0\0", np.int32)[number.offset :]
    text = memoryview(number.buffers()[2] or b"")
    found = []
    for begin, end in ranges:
        digest = hashlib.sha256(text[ends[begin] : ends[end]])
        for column in columns:
            digest.update(column[begin:end].data)
        found.append(digest.hexdigest())
    return found
