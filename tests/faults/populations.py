"""Populations that look odd and are lawful: each must load whole, whatever an overlap of pages looks like."""

from __future__ import annotations

from smspartner_pipelines.sandbox import Campaign

WEEK = 7 * 86_400
_SENT = 1_517_989_111


def row(number: int, date: int | None = _SENT, **facts: object) -> dict[str, object]:
    """Make a row to the n-th fictional number: delivered then, or, without a date, not delivered."""
    status = "Delivered" if date else "Not delivered"
    made = {"phoneNumber": f"+336399{number:05}", "status": status, "stopSMS": False, "date": str(date or "")}
    return made | facts


def lawful() -> dict[str, tuple[str, Campaign]]:
    """Give each lawful population by its tag, with what it is."""
    found = {
        "dead-number": ("45 rows of one number that is never reached: no date tells them apart", [row(1, None)] * 45),
        "dead-weekly": (
            "a number that is never reached among 17 others, in each of eight weeks",
            [row(n, _SENT - week * WEEK + n if n else None) for week in range(8) for n in range(18)],
        ),
        "twice-beside": (
            "each number of a list twice, side by side, delivered in the same second",
            [row(n // 2, _SENT + n // 2) for n in range(60)],
        ),
        "twice-apart": (
            "five numbers of a list of 90 twice, far apart and in another order, delivered in the same second",
            [row(n if n < 85 else 89 - n, _SENT + (n if n < 85 else 89 - n)) for n in range(90)],
        ),
        "one-number": ("45 rows of one number, each delivered at another time", [row(1, _SENT + n) for n in range(45)]),
        "one-second": ("90 numbers, all delivered in one second", [row(n) for n in range(90)]),
        "exactly-full": ("a last page that is full: 40 rows at 20 a page", [row(n, _SENT + n) for n in range(40)]),
        "one-full-page": ("one page that is full: 20 rows at 20 a page", [row(n, _SENT + n) for n in range(20)]),
        "nothing": ("no rows", []),
    }
    return {tag: (meaning, Campaign.of_rows(tag, rows)) for tag, (meaning, rows) in found.items()}
