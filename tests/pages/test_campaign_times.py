"""Deliveries over time keep a bounded size, and every delivery."""

from __future__ import annotations

from itertools import accumulate

import pytest
from smspartner_pipelines.pages.campaign_times import MOST_SLOTS, MOST_SLOTS_OF_TAGS, times_of_all, times_of_each


def test_few_are_exact() -> None:
    """Where there is room, each quarter of an hour is kept, of all tags together and of each."""
    tags = [[(10, 5), (12, 1)], [], [(11, 2), (12, 3)]]
    together, each = times_of_all(tags), times_of_each(tags)
    assert (together.step, together.series) == (1, {0: ([10, 1, 1], [5, 2, 4])})
    assert (each.step, each.series) == (1, {0: ([10, 2], [5, 1]), 2: ([11, 1], [2, 3])})


@pytest.mark.parametrize(("slots", "step"), [(MOST_SLOTS, 1), (MOST_SLOTS + 1, 4), (4 * MOST_SLOTS + 1, 96)])
def test_many_are_coarser(slots: int, step: int) -> None:
    """Beyond the bound, quarters become hours, then days; no delivery is lost."""
    times = times_of_all([[(quarter, 1) for quarter in range(slots)]])
    gaps, counts = times.series[0]
    assert (times.step, sum(counts)) == (step, slots)
    assert len(counts) <= MOST_SLOTS
    assert list(accumulate(gaps)) == sorted({quarter // step for quarter in range(slots)})


def test_too_many_tags_are_left_out() -> None:
    """Where even days would be too many, no tag has times of its own."""
    assert times_of_each([[(1, 1)]] * (MOST_SLOTS_OF_TAGS + 1)).series == {}
