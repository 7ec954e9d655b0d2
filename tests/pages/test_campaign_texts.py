"""The report says the same in both languages, and writes numbers as each does."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from itertools import product

import pytest
from smspartner.values import REASONS
from smspartner_pipelines.pages.campaign_texts import LANGUAGES, Texts, key_of

TABLE = tomllib.loads((files("smspartner_pipelines") / "pages" / "texts.toml").read_text(encoding="utf-8"))


def test_both_languages_say_the_same() -> None:
    """Every text exists in every language, is not empty, and names the same facts."""
    for key, words in TABLE.items():
        assert set(words) == set(LANGUAGES), key
        assert all(words.values()), key
        assert len({frozenset(re.findall(r"\{\w+\}", text)) for text in words.values()}) == 1, key


def test_every_text_is_used() -> None:
    """No text is left over that no page shows, and none is missing that a script asks for."""
    pages = files("smspartner_pipelines") / "pages"
    scripts = [path for path in pages.iterdir() if path.name.endswith(".js")]
    script = "".join(path.read_text(encoding="utf-8") for path in scripts)
    asked = set(re.findall(r"texts\.(\w+)", script)) | set(re.findall(r'say\("(\w+)"', script))
    assert {f"js_{name}" for name in asked} == {key for key in TABLE if key.startswith("js_")}
    sources = [path for path in pages.iterdir() if path.name.startswith("campaign_")]
    others = "".join(path.read_text(encoding="utf-8") for path in (*sources, pages / "campaigns.html.jinja"))
    made = ("js_", "reason_", "status_", "standing_")
    shown = set(re.findall(r"""["'](\w+)["']""", others))
    assert [key for key in TABLE if not key.startswith(made) and key.removesuffix("_means") not in shown] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_has_its_words(language) -> None:
    """Each reason of the product has a text of its own; rules and expectations share one each."""
    texts = Texts(language)
    assert {texts.reason(reason) for reason in REASONS} == {TABLE[f"reason_{key_of(r)}"][language] for r in REASONS}
    assert texts.reason("status_in_set") == TABLE["reason_of_contract"][language]
    assert texts.reason("expect_my_own") == TABLE["reason_of_suite"][language]


@pytest.mark.parametrize(
    ("language", "number", "percent"),
    [("en", "1,234,567", "95.2%"), ("fr", "1\u202f234\u202f567", "95,2\u202f%")],
)
def test_numbers(language, number: str, percent: str) -> None:
    """English has commas and points; French has narrow spaces and commas."""
    texts = Texts(language)
    assert texts.number(1_234_567) == number
    assert texts.percent(952, 1000) == percent


def test_a_share_claims_neither_all_nor_nothing() -> None:
    """One message of a million is not 0 %, and all but one are not 100 %."""
    shares = [Texts("en").percent(*pair) for pair in ((1, 10**6), (10**6 - 1, 10**6), (0, 5), (5, 5))]
    assert shares == ["0.1%", "99.9%", "0.0%", "100.0%"]
    assert Texts("en").percent(0, 0) == "\N{EN DASH}"


def test_facts_are_written_in_texts() -> None:
    """Whole numbers in a text are written as its language writes them."""
    for language, zone in product(LANGUAGES, ("Europe/Paris",)):
        assert zone in Texts(language)("about", zone=zone)
    assert "1\u202f000" in Texts("fr")("unsure", count=1000, tags="x")
