"""Many small files: a few of them under way at once, and their rows put together."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from smspartner_pipelines.load.destination import Damage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Given = TypeVar("Given")
Made = TypeVar("Made")

ROWS_OF_A_PIECE = 100_000


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
        if rows >= ROWS_OF_A_PIECE:
            yield pa.concat_tables(gathered).unify_dictionaries().combine_chunks()
            gathered, rows = [], 0
    if gathered:
        yield pa.concat_tables(gathered).unify_dictionaries().combine_chunks()


def in_order(act: Callable[[Given], Made], given: Iterable[Given], *, at_once: int) -> Iterator[Made]:
    """Yield `act` of each thing given, in order, up to `at_once` of them under way; the first that fails ends it."""
    under_way: deque[Future[Made]] = deque()
    workers = ThreadPoolExecutor(at_once, thread_name_prefix="load")
    try:
        for one in given:
            if len(under_way) == at_once:
                yield under_way.popleft().result()
            under_way.append(workers.submit(act, one))
        while under_way:
            yield under_way.popleft().result()
    finally:
        workers.shutdown(cancel_futures=True)
