"""Groups of about a size."""

from __future__ import annotations

import pytest
from smspartner.grouping import gathered


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [
        ([], []),
        ([0], [[0]]),
        ([10], [[10]]),
        ([25, 1], [[25], [1]]),
        ([4, 4, 4, 4], [[4, 4, 4], [4]]),
        ([5, 5, 0, 9, 1], [[5, 5], [0, 9, 1]]),
    ],
)
def test_groups_end_where_they_reach_the_size(sizes: list[int], groups: list[list[int]]) -> None:
    """Every item is given, in order; a group ends with the item by which it reaches the size, and none is empty."""
    assert list(gathered(sizes, int, 10)) == groups
