"""Campaigns that can be computed: the same rows for the same seed, on every machine, at every request.

A row's facts derive from the campaign's seed and the row's index alone. Time decides one thing only: whether the row's
delivery report has come in yet. Until then the row is `Waiting` and its `date` is `""`; afterwards it is final.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from zoneinfo import ZoneInfo

HOUR = 3600
DAY = 24 * HOUR
WEEK = 7 * DAY
LONGEST_DELAY = 48 * HOUR
"""The vendor's longest delivery delay."""

# Prefix, digits that follow it, rows of a thousand. Every number of these ranges is a valid mobile (or, in North
# America, any) number, so that tests can count on countries.
_RANGES = (
    ("+3361", 7, 200),
    ("+3362", 7, 160),
    ("+3366", 7, 150),
    ("+3367", 7, 120),
    ("+3368", 7, 100),
    ("+3376", 7, 100),
    ("+3378", 7, 70),
    ("+3247", 7, 24),  # Belgium
    ("+4179", 7, 20),  # Switzerland
    ("+121236", 5, 10),  # United States
    ("+151426", 5, 10),  # Canada
    ("+447400", 6, 10),  # United Kingdom
    ("+39347", 7, 8),  # Italy
    ("+262692", 6, 8),  # Réunion
    ("+590690", 6, 6),  # Guadeloupe
    ("+596696", 6, 4),  # Martinique
)
_RANGE_OF = tuple((prefix, digits) for prefix, digits, weight in _RANGES for _ in range(weight))

_PER_THOUSAND_REPEATED = 15
_PARIS = ZoneInfo("Europe/Paris")


@dataclass(frozen=True)
class Campaign:
    """One tag and its population.

    Attributes:
        tag: the label the messages were sent under.
        rows: how many there are; it never changes while the campaign ripens.
        sent_at: when the messages were sent, in epoch seconds.
        seed: campaigns of different seeds hold different rows.
        not_delivered, ko: so many of a thousand messages end so.
        stopped: so many of a thousand delivered messages are answered by STOP.
        weeks: a tag that is used again and again: an equal part of the messages was sent in each of so many weeks.
        ripen_seconds: every row is final once this long has passed since it was sent.
        given: the rows themselves, if they are not to be computed (see `of_rows`).
    """

    tag: str
    rows: int
    sent_at: int
    seed: int = 1
    not_delivered: int = 60
    ko: int = 5
    stopped: int = 25
    weeks: int = 1
    ripen_seconds: int = LONGEST_DELAY
    given: tuple[object, ...] | None = field(default=None, repr=False, hash=False)

    @classmethod
    def of_rows(cls, tag: str, rows: Iterable[object]) -> Campaign:
        """Make a campaign of exactly these rows.

        A row is any JSON value, usually a dict; a `str` is raw JSON text, which is sent as it is (so a row that is
        a JSON string is written `'"text"'`).
        """
        given = tuple(rows)
        return cls(tag, len(given), sent_at=0, ripen_seconds=0, given=given)

    def is_final(self, at: float) -> bool:
        """Return whether no row will change after this time."""
        return self.given is not None or at >= self.sent_at + (self.weeks - 1) * WEEK + self.ripen_seconds

    def population(self, at: float) -> list[object]:
        """List all rows as the API holds them at this time (epoch seconds)."""
        return self.rows_between(0, self.rows, at)

    def rows_between(self, start: int, stop: int, at: float) -> list[object]:
        """List the rows from index `start` up to, but without, `stop`, as the API holds them at this time."""
        if self.given is not None:
            return list(self.given[start:stop])
        return [self._row(index, at) for index in range(start, min(stop, self.rows))]

    def _row(self, index: int, at: float) -> dict[str, object]:
        chance = self._chance(index)
        # The fourth power makes most reports come early and a few very late.
        final_at = self.sent_at + index * self.weeks // self.rows * WEEK
        final_at += int(self.ripen_seconds * ((chance >> 96) / 2**32) ** 4)
        status, stopped, date = "Waiting", False, ""
        if at >= final_at:
            status = self._final_status(chance >> 48 & 0xFFFF)
        if status == "Delivered":
            stopped = (chance >> 64 & 0xFFFF) % 1000 < self.stopped
            date = str(final_at)
        return {"phoneNumber": self._number(index, chance), "status": status, "stopSMS": stopped, "date": date}

    def _number(self, index: int, chance: int) -> str:
        if index and (chance >> 80 & 0xFFFF) % 1000 < _PER_THOUSAND_REPEATED:
            chance = self._chance((chance & 0xFFFFFFFF) % index)
        prefix, digits = _RANGE_OF[(chance >> 32 & 0xFFFF) % len(_RANGE_OF)]
        return f"{prefix}{(chance & 0xFFFFFFFF) % 10**digits:0{digits}}"

    def _chance(self, index: int) -> int:
        """128 bits of chance that are the same for ever: a hash costs a tenth of seeding a `Random`."""
        return int.from_bytes(blake2b(b"%d:%d" % (self.seed, index), digest_size=16).digest(), "big")

    def _final_status(self, chance: int) -> str:
        roll = chance % 1000
        if roll < self.ko:
            return "Ko"
        return "Not delivered" if roll < self.ko + self.not_delivered else "Delivered"


DOCUMENTED = Campaign.of_rows(
    "documented",
    [
        {"phoneNumber": "+33600000001", "status": "Delivered", "stopSMS": False, "date": "1517989111"},
        {"phoneNumber": "+33600000002", "status": "Delivered", "stopSMS": False, "date": "1517989101"},
    ],
)
"""The example of the vendor's documentation."""


def demo_campaigns(now: int) -> tuple[Campaign, ...]:
    """Make the campaigns of a sandbox that was given none, sent relative to `now` (epoch seconds).

    Those of a shop, then `otp`, which ripens within two minutes, `empty`, which has no rows, and the documented one.
    """
    return (
        *shop_campaigns(now),
        Campaign("otp", 64, now - 5, seed=5, ripen_seconds=120),
        Campaign("empty", 0, now - DAY, seed=6),
        DOCUMENTED,
    )


def shop_campaigns(now: int) -> tuple[Campaign, ...]:
    """Make three months of a shop: `relance` still ripens, all others are settled.

    `base-achetee` is a bought list that few messages reach; of `retour-en-stock` many people opt out.
    """
    return (
        Campaign("promo-nov", 4812, _morning(now, 9), seed=1),
        Campaign("soldes-été", 2000, _morning(now, 6), seed=2),  # exactly two pages of the default size
        Campaign("relance", 1237, _in_the_day(now - 5 * HOUR), seed=3),
        Campaign("rdv-rappel", 1152, _morning(now, 88, hour=9), 4, 24, 2, 1, weeks=12, ripen_seconds=2 * HOUR),
        Campaign("vente-privee", 3180, _morning(now, 13), 7, 47, 6, 14, ripen_seconds=12 * HOUR),
        Campaign("nouveautes", 2710, _morning(now, 20, hour=11), 8, 51, 6, 16, ripen_seconds=12 * HOUR),
        Campaign("portes-ouvertes", 1460, _morning(now, 27), 9, 44, 4, 12, ripen_seconds=12 * HOUR),
        Campaign("retour-en-stock", 2290, _morning(now, 34, hour=11), 10, 56, 5, 68, ripen_seconds=12 * HOUR),
        Campaign("base-achetee", 1980, _morning(now, 41), 11, 330, 75, 121, ripen_seconds=12 * HOUR),
        Campaign("carte-fidelite", 2640, _morning(now, 48), 12, 50, 5, 13, ripen_seconds=12 * HOUR),
        Campaign("livraison-offerte", 3350, _morning(now, 57, hour=9), 13, 53, 5, 17, ripen_seconds=12 * HOUR),
        Campaign("anniversaire", 940, _morning(now, 64), 14, 40, 4, 10, ripen_seconds=12 * HOUR),
        Campaign("catalogue", 2120, _morning(now, 72, hour=11), 15, 55, 6, 18, ripen_seconds=12 * HOUR),
        Campaign("french-days", 4070, _morning(now, 83), 16, 52, 7, 15, ripen_seconds=12 * HOUR),
    )


def _morning(now: int, days: int, hour: int = 10) -> int:
    """Give this hour, in Paris, of the last working day that was so many days ago, or more."""
    day = datetime.fromtimestamp(now, _PARIS) - timedelta(days=days)
    day -= timedelta(days=max(0, day.weekday() - 4))
    return int(day.replace(hour=hour, minute=0, second=0, microsecond=0).timestamp())


def _in_the_day(at: int) -> int:
    """Give this time if it is between 8:00 and 20:00 in Paris; else 18:00 before it."""
    time = datetime.fromtimestamp(at, _PARIS)
    if 8 <= time.hour < 20:  # noqa: PLR2004  # hours of the day
        return at
    return int((time - timedelta(hours=18)).replace(hour=18, minute=0, second=0).timestamp())
