"""The words of the campaign report in each language, and how numbers are written in it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

from smspartner.values import REASONS
from smspartner_schemas.rules import row_rules

Language = Literal["en", "fr"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

NO_SHARE = "\N{EN DASH}"
_NARROW = "\u202f"
_SIGNS: dict[Language, tuple[str, str, str]] = {"en": (",", ".", ""), "fr": (_NARROW, ",", _NARROW)}
"""Between thousands, before decimals, before a percent sign."""


@cache
def _table() -> dict[str, dict[str, str]]:
    text = (files("smspartner_pipelines") / "pages" / "texts.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@dataclass(frozen=True)
class Texts:
    """The texts of a language."""

    language: Language

    def __call__(self, key: str, **facts: object) -> str:
        """Give a text with its facts in place; whole numbers are written as the language writes them."""
        written = {
            name: self.number(fact) if isinstance(fact, int) and not isinstance(fact, bool) else fact
            for name, fact in facts.items()
        }
        return _table()[key][self.language].format(**written)

    def for_scripts(self) -> dict[str, str]:
        """Give the texts that scripts of the page write, by their keys without the prefix."""
        return {
            key.removeprefix("js_"): words[self.language] for key, words in _table().items() if key.startswith("js_")
        }

    def number(self, value: int) -> str:
        """Write a whole number."""
        return f"{value:,}".replace(",", _SIGNS[self.language][0])

    def percent(self, part: int, whole: int) -> str:
        """Write a share with one decimal, rounded so that neither all nor nothing is claimed where it is not so."""
        if not whole:
            return NO_SHARE
        lowest, highest = (0.1 if part else 0.0), (99.9 if part < whole else 100.0)
        share = min(max(round(100 * part / whole, 1), lowest), highest)
        _, decimal, space = _SIGNS[self.language]
        return f"{share:.1f}".replace(".", decimal) + f"{space}%"

    def reason(self, reason: str) -> str:
        """Say what a reason of the quarantine means."""
        if reason in REASONS:
            return self(f"reason_{key_of(reason)}")
        return self("reason_of_contract" if reason in {rule.name for rule in row_rules()} else "reason_of_suite")


def key_of(reason: str) -> str:
    """Give the part of a key that names a reason."""
    return re.sub(r"\W+", "_", reason)
