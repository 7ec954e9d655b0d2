"""Snapshots gathered into batches."""

from __future__ import annotations

from typing import Any

import pytest
from smspartner_pipelines.batches import gather


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
    """A batch ends with the snapshot that fills it; none is empty, none is split, the order stays."""
    given = [snapshot(f"t{place}", size) for place, size in enumerate(sizes)]
    gathered = list(gather(([one] for one in given), rows, seconds=3600))
    assert batches == [[one.table.num_rows for one in batch] for batch in gathered]
    assert given == [one for batch in gathered for one in batch]


def test_groups_stay_whole(snapshot: Any) -> None:
    """What is given together is loaded together, also where batches need no size."""
    groups = [[snapshot(f"t{place}", 3), snapshot(f"u{place}", 3)] for place in range(3)]
    assert groups == list(gather(groups, 0, seconds=3600))
    assert [len(batch) for batch in gather(groups, 7, seconds=3600)] == [4, 2]


def test_by_age(snapshot: Any) -> None:
    """A batch that is old enough ends, however few rows it has."""
    given = [snapshot(f"t{place}") for place in range(3)]
    assert [[one] for one in given] == list(gather(([one] for one in given), 1000, seconds=0))


def test_a_batch_is_given_before_the_next_is_begun(snapshot: Any) -> None:
    """Nothing is taken beyond a full batch until that is dealt with."""
    taken = []

    def snapshots() -> Any:
        for place in range(4):
            taken.append(place)
            yield [snapshot(f"t{place}", 5)]

    batches = gather(snapshots(), 10, seconds=3600)
    next(batches)
    assert taken == [0, 1]
