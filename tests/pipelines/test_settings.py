"""The settings of a run."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from smspartner.errors import SettingsError
from smspartner.privacy import PhonePrivacy
from smspartner.redaction import REDACT, Secret
from smspartner_pipelines.settings import parse_duration, parse_time

KEY = "key-of-the-pipeline-tests"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": ()}, "no destination; name at least one, such as --to data/ or --to statuses.csv"),
        ({"to": ("a", "b", "a")}, "one destination is named twice: a; name each once with --to"),
        ({"allow_quarantined": -1}, "allow_quarantined is -1; give 0 or more"),
        (
            {"validate": "contract", "expectations": "x.json"},
            "--expectations needs Great Expectations; remove --validate contract",
        ),
        (
            {"to": (f"data/{KEY}",)},
            "--to holds the API key or another secret; remove it: it would be written down there",
        ),
        (
            {"expectations": KEY.upper()},
            "--expectations holds the API key or another secret; remove it: it would be written down there",
        ),
    ],
)
def test_settings_that_cannot_be_meant(settings: Any, options: dict[str, Any], message: str) -> None:
    """Settings that can't be meant are refused before anything is requested."""
    with pytest.raises(SettingsError) as caught:
        settings(**options)
    assert message == str(caught.value)


def test_a_secret_among_the_tags(settings: Any) -> None:
    """The key in the place of a tag is refused, and not repeated."""
    with pytest.raises(SettingsError) as caught:
        settings(tags=("t", KEY))
    assert KEY not in str(caught.value)


def test_public(settings: Any) -> None:
    """The settings in the run report are plain values, without any secret."""
    given = settings(privacy=PhonePrivacy("hashed", Secret("0123456789abcdef")), fresh_for=timedelta(hours=1))
    assert given.public() == {
        "base_url": "https://api.smspartner.fr/v1",
        "concurrency": 8,
        "rate": "1800/min",
        "timeout_seconds": 30.0,
        "retries": 5,
        "verify": False,
        "to": ["out"],
        "refresh": "auto",
        "fresh_for_seconds": 3600.0,
        "fresh_since": None,
        "validate": "gx",
        "expectations": None,
        "allow_quarantined": 0,
        "allow_shrink": False,
        "keep_shrunk": False,
        "phone_numbers": "hashed",
    }
    assert KEY not in repr(given)
    assert "0123456789abcdef" not in repr(given)
    with pytest.raises(dataclasses.FrozenInstanceError):
        given.refresh = "all"


def test_passwords_of_destinations(settings: Any) -> None:
    """A destination's password is not shown by the settings, and may be given again by a later run of the process."""
    REDACT.add(Secret("pass-word"))
    given = settings(to=("postgresql://me:pass-word@host/db",))
    assert given.public()["to"] == ["postgresql://me:***@host/db"]


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("0", timedelta(0)),
        ("0.0", timedelta(0)),
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("30min", timedelta(minutes=30)),
        ("6h", timedelta(hours=6)),
        ("1.5 h", timedelta(minutes=90)),
        (" 2d ", timedelta(days=2)),
    ],
)
def test_durations(text: str, duration: timedelta) -> None:
    """A duration is a number and a unit, or 0."""
    assert duration == parse_duration(text)


@pytest.mark.parametrize(
    "text", ["", "5", "-1h", "h", "1w", "1h30m", "1e3s", "1H", "one hour", "9" * 20 + "d", "9" * 400 + "s"]
)
def test_no_durations(text: str) -> None:
    """Anything else, also one longer than time, is refused with what to give."""
    with pytest.raises(
        SettingsError, match=r"^--fresh-for is (no duration; give a number and|longer than any data; give)"
    ):
        parse_duration(text, "--fresh-for")


def test_times() -> None:
    """`--fresh-since` takes a time with its offset; one without might be meant anywhere, and is refused."""
    assert parse_time("2026-11-23T19:00:00+01:00") == parse_time("2026-11-23T18:00:00Z")
    for wrong in ("yesterday", "2026-11-23T18:00:00", "2026-11-23", ""):
        with pytest.raises(SettingsError, match="give date, time and offset, such as 2026-11-23T18:00:00Z"):
            parse_time(wrong)
