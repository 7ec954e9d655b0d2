"""The report says the same in both languages, and writes numbers, shares and times as each does."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime
from importlib.resources import files
from zoneinfo import ZoneInfo

import pytest
from smspartner.values import REASONS
from smspartner_pipelines.pages.campaign_texts import DASH, LANGUAGES, Texts

PAGES = files("smspartner_pipelines") / "pages"
TABLE = tomllib.loads((PAGES / "texts.toml").read_text(encoding="utf-8"))
AT = datetime(2026, 11, 29, 8, 5, tzinfo=UTC)


def texts_in(language: str) -> Texts:
    """Give the texts of a language, on a day, in Paris."""
    return Texts(language, ZoneInfo("Europe/Paris"), AT)


def test_both_languages_say_the_same() -> None:
    """Every text exists in every language, in as many forms, and names the same facts."""
    for key, words in TABLE.items():
        assert set(words) == set(LANGUAGES), key
        forms = [[text] if isinstance(text, str) else text for text in words.values()]
        assert len({len(form) for form in forms}) == 1, key
        facts = [{frozenset(re.findall(r"\{\w+\}", text)) for text in form} for form in forms]
        assert len(facts[0]) > 1 or facts[0] == facts[1], key


def test_every_text_is_used() -> None:
    """No text is left over that no page shows."""
    sources = [path for path in PAGES.iterdir() if path.name.startswith(("campaign_", "report."))]
    shown = "".join(path.read_text(encoding="utf-8") for path in sources)
    made = ("reason_", "why_", "do_", "note_", "verdict_", "column_", "by_", "none_", "key_", "long_")
    assert [key for key in TABLE if not key.startswith(made) and f'"{key}"' not in shown] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_has_its_words(language) -> None:
    """Each reason of the product has a text of its own, and a rule of a suite is named."""
    texts = texts_in(language)
    assert len({texts.reason(reason) for reason in REASONS}) == len(REASONS)
    assert "expect_my_own" in texts.reason("expect_my_own")


@pytest.mark.parametrize(
    ("language", "written"),
    [
        ("en", ("1,234,567", "95.2%", "29 Nov, 09:05", "Sun 29 Nov", "1 Jan 2025", "34.5 points below", "Réunion")),
        (
            "fr",
            (
                *("1\u202f234\u202f567", "95,2\u202f%", "29 nov., 09:05", "dim. 29 nov.", "1 janv. 2025"),
                *("34,5 points sous", "La Réunion"),
            ),
        ),
    ],
)
def test_numbers_and_times(language, written: tuple[str, ...]) -> None:
    """Numbers, shares, days and differences are written as the language does; a year only where it is not this one."""
    texts = texts_in(language)
    assert written[:6] == (
        *(texts.number(1_234_567), texts.percent(95.2), texts.time(AT), texts.day(AT, weekday=True)),
        *(texts.day(AT.replace(year=2025, month=1, day=1)), texts.points(59.8, 94.3)),
    )
    assert texts.country("RE") in {written[6], "Reunion"}
    assert texts.points(94.1, 94.3) is None


@pytest.mark.parametrize(
    ("language", "one", "more", "far"),
    [
        (
            "en",
            "1 message of 2 with a final outcome was",
            "3 of the 5 messages with a final outcome were",
            "1 point less",
        ),
        (
            "fr",
            "1 message sur 2 au résultat définitif a été",
            "3 des 5 messages au résultat définitif ont",
            "1 point de",
        ),
    ],
)
def test_one_is_no_plural(language, one: str, more: str, far: str) -> None:
    """The number that a verb or a noun belongs to decides its form: one of two messages was delivered."""
    texts = texts_in(language)
    assert f">{one}" in texts("answer", n=1, final=2, gap="")
    assert f">{more}" in texts("answer", n=3, final=5, gap="")
    assert texts("word_far", n=1.0, points=texts.decimal(1.0), times=2).startswith(far)
    assert "messages" not in texts("parts", n=1, delivered="", failed="", waiting="")


def test_a_share_claims_neither_all_nor_nothing() -> None:
    """One message of a million is not 0 %, and all but one are not 100 %."""
    shares = [texts_in("en").percent(share) for share in (1e-4, 99.9999, 0.0, 100.0, None)]
    assert shares == ["0.1%", "99.9%", "0.0%", "100.0%", DASH]


def test_facts_are_escaped_and_counted() -> None:
    """Facts can't become marks of the page, and a number decides between one and many."""
    assert "&lt;b&gt;" in texts_in("en")("cause", link="<b>", share="1%")
    assert texts_in("en")("note_quarantine", n=1) == "1 row in quarantine"
    assert texts_in("fr")("note_quarantine", n=0) == "0 ligne en quarantaine"
    assert "1\u202f000" in texts_in("fr")("waiting", n=1000, whose="")
