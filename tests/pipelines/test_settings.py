"""The settings of a run."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from smspartner.errors import SettingsError
from smspartner.phone_numbers import PhonePrivacy
from smspartner.redaction import REDACT, Secret
from smspartner_pipelines.settings import parse_duration, parse_time


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": ()}, "no destination: name at least one with --to, such as --to data/ or --to statuses.csv"),
        ({"to": ("a", "b", "a")}, "a destination is named twice: name each once with --to"),
        ({"allow_quarantined": -1}, "allow_quarantined is -1: give 0 or more"),
        (
            {"validate": "contract", "expectations": "x.json"},
            "--expectations needs Great Expectations: leave --validate contract away",
        ),
    ],
)
def test_settings_that_cannot_be_meant(settings: Any, options: dict[str, Any], message: str) -> None:
    """Settings that can't be meant are refused before anything is requested."""
    with pytest.raises(SettingsError) as caught:
        settings(**options)
    assert message == str(caught.value)


def test_public(settings: Any) -> None:
    """The settings in the run report are plain values, without any secret."""
    given = settings(privacy=PhonePrivacy("hashed", Secret("0123456789abcdef")), fresh_for=timedelta(hours=1))
    assert given.public() == {
        "base_url": "https://api.smspartner.fr/v1",
        "concurrency": 8,
        "rate_per_second": None,
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
        "phone_numbers": "hashed",
        "csv_dialect": "rfc4180",
    }
    assert "key-of-the-pipeline-tests" not in repr(given)
    assert "0123456789abcdef" not in repr(given)
    with pytest.raises(dataclasses.FrozenInstanceError):
        given.refresh = "all"


def test_passwords_of_destinations(settings: Any) -> None:
    """A destination's password is not told by the settings, and may be given again by a later run of the process."""
    uri = "postgresql://me:pass-word@host/db"
    REDACT.add(Secret("pass-word"))
    assert settings(to=(uri,)).public()["to"] == ["postgresql://me:***@host/db"]


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


@pytest.mark.parametrize("text", ["", "5", "-1h", "h", "1w", "1h30m", "1e3s", "1H", "one hour"])
def test_no_durations(text: str) -> None:
    """Anything else is refused with examples."""
    with pytest.raises(SettingsError) as caught:
        parse_duration(text)
    assert str(caught.value) == f"duration {text!r}: give a number and a unit, such as 90s, 30m, 6h or 2d"


@pytest.mark.parametrize("text", ["9" * 20 + "d", "9" * 400 + "s"])
def test_durations_beyond_time(text: str) -> None:
    """A duration longer than time is refused."""
    with pytest.raises(SettingsError, match=r"is longer than any data: give a shorter one$"):
        parse_duration(text)


def test_times() -> None:
    """`--fresh-since` takes a time with its offset; one without might be meant anywhere, and is refused."""
    assert parse_time("2026-11-23T19:00:00+01:00") == parse_time("2026-11-23T18:00:00Z")
    for wrong in ("yesterday", "2026-11-23T18:00:00", "2026-11-23", ""):
        with pytest.raises(SettingsError, match="give date, time and offset, such as 2026-11-23T18:00:00Z"):
            parse_time(wrong)
