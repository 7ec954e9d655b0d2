"""Deliveries by day, week or month, and by hour of the day, in the zone of the reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import numpy as np

from smspartner_pipelines.pages.campaign_figures import QUARTER, Integers
from smspartner_pipelines.pages.campaign_texts import Texts

MOST_DAYS, MOST_WEEKS_DAYS = 120, 3 * 365
"""Beyond so many days, bars are weeks; beyond so many more, months."""


FEWEST_DAYS = 7
"""Shown at least, so that the bar of a single day is no block."""


@dataclass(frozen=True)
class Times:
    """Deliveries in bars of one step (`day`, `week` or `month`): the first day of each, and the deliveries in it.

    `peaks` are campaigns (index of the bar, index of the campaign) that were delivered most in that bar, and more than
    any other there. `hours` counts the deliveries of each of 24 hours.
    """

    step: str
    starts: list[date]
    counts: Integers
    peaks: list[tuple[int, int]]
    hours: Integers

    def name(self, bar: int, texts: Texts) -> str:
        """Name a bar."""
        day = self.starts[bar]
        at = datetime.combine(day, time(12), texts.zone)
        if self.step == "month":
            return f"{texts.list('long_months')[day.month - 1]} {day.year}"
        return str(texts("week_of", day=texts.day(at))) if self.step == "week" else texts.day(at, weekday=True)

    def minute(self, bar: int, texts: Texts) -> int:
        """Give when a bar begins, in minutes since 1970."""
        return int(datetime.combine(self.starts[bar], time(), texts.zone).timestamp()) // 60

    def labels(self, texts: Texts) -> list[tuple[float, str]]:
        """Give the labels below the bars: months, or years, where they begin."""
        found: list[tuple[float, str]] = []
        months = texts.list("long_months" if len({(day.year, day.month) for day in self.starts}) < 7 else "months")  # noqa: PLR2004
        before: object = None
        for bar, first in enumerate(self.starts):
            day = first + timedelta(days=3) if self.step == "week" else first  # most of a week is in this month
            now = day.year if self.step == "month" else (day.year, day.month)
            if now != before and (before is not None or day.day == 1 or self.step != "day" or _fits(self.starts)):
                found.append((bar / len(self.starts), str(day.year) if self.step == "month" else months[day.month - 1]))
            before = now
        return found


def _fits(starts: list[date]) -> bool:
    """Whether a label of the first, broken month has room before the next one."""
    rest = sum(day.month == starts[0].month for day in starts[:31])
    return rest / len(starts) > 0.1  # noqa: PLR2004


def times_of(deliveries: tuple[Integers, Integers, Integers], texts: Texts, *, step: str | None = None) -> Times | None:
    """Sort deliveries (`Figures.deliveries`) into bars; None where there are none."""
    owner, quarters, counts = deliveries
    if not len(owner):
        return None
    distinct, places = np.unique(quarters, return_inverse=True)
    local = [texts.local(quarter * QUARTER) for quarter in distinct.tolist()]
    days = np.array([at.toordinal() for at in local])[places]
    hours = np.bincount(np.array([at.hour for at in local])[places], weights=counts, minlength=24).astype(np.int64)
    first, last = date.fromordinal(int(days.min())), date.fromordinal(int(days.max()))
    step = step or _step((last - first).days)
    starts, bar_of = _BARS[step](first, last)
    bars = np.array([bar_of(date.fromordinal(day)) for day in range(first.toordinal(), last.toordinal() + 1)])
    bars = bars[days - first.toordinal()]
    totals = np.bincount(bars, weights=counts, minlength=len(starts)).astype(np.int64)
    return Times(step, starts, totals, _peaks(owner, bars, counts), hours)


def _step(days: int) -> str:
    return "day" if days < MOST_DAYS else "week" if days < MOST_WEEKS_DAYS else "month"


def _by_day(first: date, last: date) -> tuple[list[date], Callable[[date], int]]:
    days = (last - first).days + 1
    begin = first - timedelta(days=max(0, FEWEST_DAYS - days) // 2)
    return [begin + timedelta(days=n) for n in range(max(days, FEWEST_DAYS))], lambda day: (day - begin).days


def _by_week(first: date, last: date) -> tuple[list[date], Callable[[date], int]]:
    monday = first - timedelta(days=first.weekday())
    weeks = (last - monday).days // 7 + 1
    return [monday + timedelta(weeks=n) for n in range(weeks)], lambda day: (day - monday).days // 7


def _by_month(first: date, last: date) -> tuple[list[date], Callable[[date], int]]:
    begin, end = (day.year * 12 + day.month - 1 for day in (first, last))
    return [
        date(n // 12, n % 12 + 1, 1) for n in range(begin, end + 1)
    ], lambda day: day.year * 12 + day.month - 1 - begin


_BARS = {"day": _by_day, "week": _by_week, "month": _by_month}


def _peaks(owner: Integers, bars: Integers, counts: Integers) -> list[tuple[int, int]]:
    keys, places = np.unique(owner * (bars.max() + 1) + bars, return_inverse=True)
    sums = np.bincount(places, weights=counts)
    best_of_bar: dict[int, tuple[float, int]] = {}
    best_of_owner: dict[int, tuple[float, int]] = {}
    for key, rows in zip(keys.tolist(), sums.tolist(), strict=True):
        one, bar = divmod(key, int(bars.max()) + 1)
        best_of_bar[bar] = max(best_of_bar.get(bar, (0.0, -1)), (rows, one))
        best_of_owner[one] = max(best_of_owner.get(one, (0.0, -1)), (rows, bar))
    return [(bar, one) for bar, (_, one) in best_of_bar.items() if best_of_owner[one][1] == bar]
