"""Deliveries over time, as a page holds them: exact where few, coarser where many, never beyond a size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

STEPS = (1, 4, 96)
"""Quarters of an hour, hours, days of UTC: the lengths of a slot, in quarters of an hour."""

MOST_SLOTS = 40_000
"""Of all tags together: more than a year without a quarter of an hour left out."""

MOST_SLOTS_OF_TAGS = 250_000
"""Of the tags one by one, together: at most two megabytes, and usually one."""


@dataclass(frozen=True)
class Times:
    """Deliveries by slot of `step` quarters of an hour.

    Each series, by its number, is slots (from 1970, as steps from the one before) and counts; none is kept where even
    days would be too many.
    """

    step: int
    series: Mapping[int, tuple[list[int], list[int]]]


def times_of_all(tags: Iterable[Sequence[tuple[int, int]]]) -> Times:
    """Give one series, number 0, for all tags together."""
    together: Counter[int] = Counter()
    for deliveries in tags:
        for quarter, rows in deliveries:
            together[quarter] += rows
    return _coarsened({0: together}, MOST_SLOTS)


def times_of_each(tags: Iterable[Sequence[tuple[int, int]]]) -> Times:
    """Give a series for each tag that has deliveries, by its number."""
    each = {number: Counter(dict(deliveries)) for number, deliveries in enumerate(tags) if deliveries}
    return _coarsened(each, MOST_SLOTS_OF_TAGS)


def _coarsened(series: Mapping[int, Counter[int]], most: int) -> Times:
    for step in STEPS:
        coarse = {number: _by_step(found, step) for number, found in series.items()}
        if sum(map(len, coarse.values())) <= most:
            return Times(step, {number: _as_steps(found) for number, found in coarse.items()})
    return Times(STEPS[-1], {})


def _by_step(quarters: Mapping[int, int], step: int) -> Mapping[int, int]:
    if step == 1:
        return quarters
    coarse: Counter[int] = Counter()
    for quarter, rows in quarters.items():
        coarse[quarter // step] += rows
    return coarse


def _as_steps(slots: Mapping[int, int]) -> tuple[list[int], list[int]]:
    """Small numbers are short in JSON: how many slots each is after the one before."""
    ordered = sorted(slots)
    return [slot - before for before, slot in zip([0, *ordered], ordered, strict=False)], [slots[s] for s in ordered]
