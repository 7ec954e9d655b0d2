"""Campaigns that can be computed: the same rows for the same seed, on every machine, at every request.

A row's facts derive from the campaign's seed and the row's index alone. Time decides one thing only: whether the row's
delivery report has come in yet. Until then the row is `Waiting` and its `date` is `""`; afterwards it is final.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

HOUR = 3600
DAY = 24 * HOUR
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
_PER_THOUSAND_KO = 5
_PER_THOUSAND_NOT_DELIVERED = 60
_PER_THOUSAND_STOPPED = 25


@dataclass(frozen=True)
class Campaign:
    """One tag and its population.

    Attributes:
        tag: the label the messages were sent under.
        rows: how many there are; it never changes while the campaign ripens.
        sent_at: when the messages were sent, in epoch seconds.
        seed: campaigns of different seeds hold different rows.
        ripen_seconds: every row is final once this long has passed since `sent_at`.
        given: the rows themselves, if they are not to be computed (see `of_rows`).
    """

    tag: str
    rows: int
    sent_at: int
    seed: int = 1
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
        return self.given is not None or at >= self.sent_at + self.ripen_seconds

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
        delay = int(self.ripen_seconds * ((chance >> 96) / 2**32) ** 4)
        status, stopped, date = "Waiting", False, ""
        if at >= self.sent_at + delay:
            status = _final_status(chance >> 48 & 0xFFFF)
        if status == "Delivered":
            stopped = (chance >> 64 & 0xFFFF) % 1000 < _PER_THOUSAND_STOPPED
            date = str(self.sent_at + delay)
        return {"phoneNumber": self._number(index, chance), "status": status, "stopSMS": stopped, "date": date}

    def _number(self, index: int, chance: int) -> str:
        if index and (chance >> 80 & 0xFFFF) % 1000 < _PER_THOUSAND_REPEATED:
            chance = self._chance((chance & 0xFFFFFFFF) % index)
        prefix, digits = _RANGE_OF[(chance >> 32 & 0xFFFF) % len(_RANGE_OF)]
        return f"{prefix}{(chance & 0xFFFFFFFF) % 10**digits:0{digits}}"

    def _chance(self, index: int) -> int:
        """128 bits of chance that are the same for ever: a hash costs a tenth of seeding a `Random`."""
        return int.from_bytes(blake2b(b"%d:%d" % (self.seed, index), digest_size=16).digest(), "big")


def _final_status(chance: int) -> str:
    roll = chance % 1000
    if roll < _PER_THOUSAND_KO:
        return "Ko"
    return "Not delivered" if roll < _PER_THOUSAND_KO + _PER_THOUSAND_NOT_DELIVERED else "Delivered"


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

    `promo-nov` and `soldes-été` are settled, `relance`, `rdv-rappel` and `otp` still ripen, `empty` has no rows.
    """
    return (
        Campaign("promo-nov", 4812, now - 9 * DAY, seed=1),
        Campaign("soldes-été", 2000, now - 6 * DAY, seed=2),  # exactly two pages of the default size
        Campaign("relance", 1237, now - 5 * HOUR, seed=3),
        Campaign("rdv-rappel", 350, now - 10 * 60, seed=4, ripen_seconds=2 * HOUR),
        Campaign("otp", 64, now - 5, seed=5, ripen_seconds=120),
        Campaign("empty", 0, now - DAY, seed=6),
        DOCUMENTED,
    )
