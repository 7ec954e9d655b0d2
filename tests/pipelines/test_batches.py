"""Snapshots in batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from smspartner.errors import AccessRefused, Interrupted
from smspartner_pipelines.loading import in_batches


@pytest.mark.parametrize(
    ("sizes", "rows", "batches"),
    [
        ([], 10, []),
        ([3], 10, [[3]]),
        ([3, 3, 3, 3, 3], 6, [[3, 3], [3, 3], [3]]),
        ([100, 1, 1], 6, [[100], [1, 1]]),
        ([0, 0, 0], 6, [[0, 0, 0]]),
        ([1, 1], 0, [[1], [1]]),
    ],
)
def test_by_rows(snapshot: Any, sizes: list[int], rows: int, batches: list[list[int]]) -> None:
    """A batch ends with the snapshot that fills it; none is empty, the order stays."""
    given = [snapshot(f"t{number}", size) for number, size in enumerate(sizes)]
    gathered = list(in_batches(given, rows, seconds=3600))
    assert batches == [[one.table.num_rows for one in batch] for batch in gathered]
    assert given == [one for batch in gathered for one in batch]


def test_by_the_clock(snapshot: Any) -> None:
    """A batch that is old enough ends, also while nothing but ticks arrives; a tick alone makes no batch."""
    first, second = snapshot("a"), snapshot("b")
    assert [[first], [second]] == list(in_batches([None, first, None, second, None], 1000, seconds=0))
    assert [[first, second]] == list(in_batches([first, None, second], 1000, seconds=3600))


def test_a_batch_is_given_before_the_next_is_begun(snapshot: Any) -> None:
    """Nothing is taken beyond a full batch until that is loaded."""
    taken = []

    def snapshots() -> Iterator[Any]:
        for number in range(4):
            taken.append(number)
            yield snapshot(f"t{number}", 5)

    next(in_batches(snapshots(), 10, seconds=3600))
    assert taken == [0, 1]


@pytest.mark.parametrize("end", [Interrupted("asked to stop"), AccessRefused("code 10", code=10)])
def test_what_was_read_is_given_before_the_end(snapshot: Any, end: Exception) -> None:
    """Tags read before the key is refused, or the run interrupted, are given, to be loaded; then the run ends."""

    def snapshots() -> Iterator[Any]:
        yield snapshot("a")
        raise end

    batches = in_batches(snapshots(), 10, seconds=3600)
    assert [one.tag for one in next(batches)] == ["a"]
    with pytest.raises(type(end)):
        next(batches)
