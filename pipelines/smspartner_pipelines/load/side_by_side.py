"""A few acts at once, their results in order; the first that fails ends it."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Given = TypeVar("Given")
Made = TypeVar("Made")


def in_order(act: Callable[[Given], Made], given: Iterable[Given], *, at_once: int) -> Iterator[Made]:
    """Yield `act` of each thing given, in order, up to `at_once` of them under way.

    After one has failed no other is begun; those under way come to their end.
    """
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
