"""The words of the campaign report in each language, and how numbers, shares and times are written in it."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape
from smspartner.phone_numbers import country_name
from smspartner.values import REASONS

Language = Literal["en", "fr"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

DASH = "\N{EN DASH}"
_NARROW = "\u202f"
_BEFORE_MARK = re.compile(" (?=[:;?!»])|(?<=«) ")
_ACCENTS = {
    "Egypte": "Égypte",
    "Emirats Arabes Unis": "Émirats arabes unis",
    "Equateur": "Équateur",
    "Erythrée": "Érythrée",
    "Etats-Unis": "États-Unis",
    "Ethiopie": "Éthiopie",
    "Ile de Man": "Île de Man",
    "Iles Vierges Américaines": "Îles Vierges américaines",
    "Iles Vierges Britanniques": "Îles Vierges britanniques",
    "Reunion": "Réunion",
}
_HALF_POINT = 0.5


@cache
def _table() -> dict[str, Any]:
    text = (files("smspartner_pipelines") / "pages" / "texts.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _unbroken(text: str) -> str:
    """Keep French marks on the line of the word that they follow."""
    return _BEFORE_MARK.sub("\u00a0", text).replace(" %", f"{_NARROW}%")


def _unspoilt(name: str) -> str:
    """Write a country's name with the accents that its source leaves out."""
    return _ACCENTS.get(name, name)


class Texts:
    """The texts of a language, with times in a zone.

    A text is given with its facts in place: `texts("waiting", n=3)`. Whole numbers are written as the language writes
    them; where a text has two forms, `n` decides. Facts are escaped, the texts themselves may hold marks of HTML.
    """

    def __init__(self, language: Language, zone: ZoneInfo, now: datetime) -> None:
        self.language = language
        self.zone = zone
        self.now = now.astimezone(zone)
        self._thousands, self._decimal = (_NARROW, ",") if language == "fr" else (",", ".")
        self.sign = f"{_NARROW}%" if language == "fr" else "%"

    def __call__(self, key: str, **facts: Any) -> Markup:
        """Give a text with its facts in place."""
        text = _table()[key][self.language]
        if isinstance(text, list):
            n = facts.get("n", 0)
            text = text[0] if (n == 1 if self.language == "en" else n < 2) else text[1]  # noqa: PLR2004
        text = _unbroken(text) if self.language == "fr" else text
        written = {name: self.number(fact) if isinstance(fact, int) else fact for name, fact in facts.items()}
        return Markup(text).format(**written)  # noqa: S704  # our own text; `format` escapes the facts

    def list(self, key: str) -> list[str]:
        """Give a list of words."""
        words: list[str] = _table()[key][self.language]
        return words

    def number(self, value: int) -> str:
        """Write a whole number."""
        return f"{value:,}".replace(",", self._thousands)

    def spelled(self, value: int) -> str:
        """Write a small number as a word."""
        words = self.list("small_numbers")
        return words[value] if value < len(words) else self.number(value)

    def decimal(self, value: float) -> str:
        """Write a number with one decimal, or none where that is 0."""
        return f"{value:,.1f}".removesuffix(".0").replace(",", self._thousands).replace(".", self._decimal)

    def percent(self, share: float | None) -> str:
        """Write a share with one decimal, which is 0 or 100 only where it is exactly so."""
        if share is None:
            return DASH
        rounded = share if share in {0, 100} else min(max(round(share, 1), 0.1), 99.9)
        return f"{rounded:.1f}".replace(".", self._decimal) + self.sign

    def points(self, share: float, usual: float) -> Markup | None:
        """Say how far a share is from the usual one; None where that is less than half a point."""
        far = round(share, 1) - round(usual, 1)
        if abs(far) < _HALF_POINT:
            return None
        points = abs(round(far, 1))
        n = 1 if points == 1 or (self.language == "fr" and points < 2) else 2  # noqa: PLR2004
        return self("below" if far < 0 else "above", n=n, points=self.decimal(points))

    def local(self, at: datetime | int) -> datetime:
        """Give a time (seconds since 1970, or aware) in the page's zone."""
        return (datetime.fromtimestamp(at, UTC) if isinstance(at, int) else at).astimezone(self.zone)

    def day(self, at: datetime | int | None, *, weekday: bool = False) -> str:
        """Write a day, with its year where it is not this one."""
        if at is None:
            return DASH
        local = self.local(at)
        words = [self.list("days")[local.weekday()]] if weekday else []
        words += [str(local.day), self.list("months")[local.month - 1]]
        return " ".join([*words, str(local.year)] if local.year != self.now.year else words)

    def span(self, first: int, last: int) -> str:
        """Write the days from a time to another one, or the one day of both."""
        days = self.day(first), self.day(last)
        return days[0] if days[0] == days[1] else str(self("span", first=days[0], last=days[1]))

    def clock(self, at: datetime | int) -> str:
        """Write the time of day."""
        return f"{self.local(at):%H:%M}"

    def time(self, at: datetime | int | None) -> str:
        """Write day and time of day."""
        return DASH if at is None else f"{self.day(at)}, {self.clock(at)}"

    def full_time(self, at: datetime, *, weekday: bool = False) -> str:
        """Write a time at full length."""
        local = self.local(at)
        day = f"{self.list('long_days')[local.weekday()]} " if weekday else ""
        return f"{day}{local.day} {self.list('long_months')[local.month - 1]} {local.year}, {local:%H:%M}"

    def duration(self, seconds: int) -> Markup:
        """Write a duration, rounded to minutes or hours."""
        minutes = max(1, round(seconds / 60))
        return self("minutes", n=minutes) if minutes < 120 else self("hours", n=round(minutes / 60))  # noqa: PLR2004

    def country(self, code: str | None) -> str:
        """Name a country."""
        return _unspoilt(country_name(code, self.language)) if code else self("no_country")

    def reason(self, reason: str) -> Markup:
        """Say why rows are in quarantine."""
        return self(f"reason_{reason}") if reason in REASONS else self("reason_of_rule", rule=reason)

    def command(self, *words: str) -> Markup:
        """Write a command that can be copied."""
        unbroken = (Markup('<span class="nb">{}</span>').format(word) if word[:1] == "-" else word for word in words)
        return Markup("<code>{}</code>").format(Markup(" ").join(unbroken))


def link(name: str, anchor: str) -> Markup:
    """Link a campaign's name to its section, if it has one."""
    return Markup('<a href="#{}">{}</a>').format(anchor, name) if anchor else escape(name)
