"""The settings of a run."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from smspartner.errors import SettingsError, TagError
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
        *(
            (given, f"{name} holds the API key or another secret; remove it: it would be written down there")
            for given, name in (({"to": (f"data/{KEY}",)}, "--to"), ({"expectations": KEY.upper()}, "--expectations"))
        ),
        ({"tags": ("t", KEY)}, "tag 2 holds the API key or another secret; give tags only"),
    ],
)
def test_settings_that_cannot_be_meant(settings: Any, options: dict[str, Any], message: str) -> None:
    """Settings that can't be meant are refused before anything is requested; no secret is repeated."""
    with pytest.raises((SettingsError, TagError)) as caught:
        settings(**options)
    assert message == str(caught.value)


def test_public(settings: Any) -> None:
    """The settings in the run report are plain values, without any secret."""
    REDACT.add(Secret("pass-word"))  # which a run before may have known: it may be given again
    privacy = PhonePrivacy("hashed", Secret("0123456789abcdef"))
    given = settings(to=("postgresql://me:pass-word@host/db",), privacy=privacy, fresh_for=timedelta(hours=1))
    assert given.public() == {
        "base_url": "https://api.smspartner.fr/v1",
        "concurrency": 8,
        "rate": "1800/min",
        "timeout_seconds": 30.0,
        "retries": 5,
        "verify": False,
        "to": ["postgresql://me:***@host/db"],
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
    assert not [secret for secret in (KEY, "0123456789abcdef") if secret in repr(given)]
    with pytest.raises(dataclasses.FrozenInstanceError):
        given.refresh = "all"


def test_durations() -> None:
    """A duration is a number and a unit, or 0; anything else, also one longer than time, is refused."""
    durations = {"0": 0, "0.0": 0, "90s": 90, "30m": 1800, "30min": 1800, "6h": 21_600, "1.5 h": 5400, " 2d ": 172_800}
    assert {text: parse_duration(text).total_seconds() for text in durations} == durations
    for wrong in ("", "5", "-1h", "h", "1w", "1h30m", "1e3s", "1H", "one hour", "9" * 20 + "d", "9" * 400 + "s"):
        with pytest.raises(SettingsError, match=r"^--fresh-for is (no duration; give a num|longer than any data; gi)"):
            parse_duration(wrong, "--fresh-for")


def test_times() -> None:
    """`--fresh-since` takes a time with its offset; one without might be meant anywhere, and is refused."""
    assert parse_time("2026-11-23T19:00:00+01:00") == parse_time("2026-11-23T18:00:00Z")
    for wrong in ("yesterday", "2026-11-23T18:00:00", "2026-11-23", ""):
        with pytest.raises(SettingsError, match="give date, time and offset, such as 2026-11-23T18:00:00Z"):
            parse_time(wrong)
