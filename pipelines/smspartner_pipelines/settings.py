"""The settings of a run: one frozen value, built once, checked before anything is requested."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from smspartner.connection import Connection, Reach
from smspartner.errors import SettingsError
from smspartner_pipelines.load import mask_secrets
from smspartner_pipelines.load.destination import CsvDialect
from smspartner.phone_numbers import PhonePrivacy
from smspartner.redaction import REDACT
from smspartner.tags import check_no_secret

Refresh = Literal["auto", "all"]
Validate = Literal["gx", "contract"]

_DURATION_UNITS = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days"}


class PublicSettings(Protocol):
    """The settings of any run, as far as a report may tell them."""

    def public(self) -> dict[str, Any]:
        """Give the settings for the run report: no secret."""
        ...


class Judging(Protocol):
    """What decides how rows are validated."""

    @property
    def validate(self) -> Validate:
        """With Great Expectations, or by the contract's row rules alone."""
        ...

    @property
    def expectations(self) -> str | None:
        """The file of the user's own suite."""
        ...

    @property
    def privacy(self) -> PhonePrivacy:
        """The form of the phone numbers."""
        ...


class Choosing(Protocol):
    """What decides which tags are read again."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags asked for."""
        ...

    @property
    def refresh(self) -> Refresh:
        """Skip what is settled or fresh, or read all."""
        ...

    @property
    def fresh_for(self) -> timedelta:
        """The age below which a loaded tag is not read again."""
        ...

    @property
    def fresh_since(self) -> datetime | None:
        """What was read since then is not read again, either."""
        ...

    @property
    def privacy(self) -> PhonePrivacy:
        """The form of the phone numbers."""
        ...


@dataclass(frozen=True)
class LoadSettings:
    """What one run does, wherever it reads: `connection` may lack the key.

    `tags` are checked and asked once each; `to` names the destinations; `fresh_for` is the age below which a loaded tag
    is not read again, `fresh_since` the time since when; `expectations` names a file with a suite in Great
    Expectations' own format.
    """

    tags: tuple[str, ...]
    connection: Reach
    to: tuple[str, ...]
    refresh: Refresh = "auto"
    fresh_for: timedelta = timedelta(0)
    fresh_since: datetime | None = None
    validate: Validate = "gx"
    expectations: str | None = None
    allow_quarantined: int = 0
    allow_shrink: bool = False
    privacy: PhonePrivacy = field(default_factory=PhonePrivacy)
    csv_dialect: CsvDialect = "rfc4180"

    def __post_init__(self) -> None:
        if not self.to:
            raise SettingsError("no destination: name at least one with --to, such as --to data/ or --to statuses.csv")
        if len(set(map(os.path.abspath, self.to))) < len(self.to):
            raise SettingsError("a destination is named twice: name each once with --to")
        if self.allow_quarantined < 0:
            raise SettingsError(f"allow_quarantined is {self.allow_quarantined}: give 0 or more")
        self._check_no_secret()
        check_judging(self)

    def _check_no_secret(self) -> None:
        """Refuse the API key where it stands by mistake: these settings are written into names, tables and reports."""
        check_no_secret(self.tags)
        written = {"--to": "\n".join(map(mask_secrets, self.to)), "--expectations": self.expectations or ""}
        for name, value in (written | {"--base-url": self.connection.base_url}).items():
            if REDACT.finds(value):
                raise SettingsError(f"{name} holds the API key or another secret: it would be written down there")

    def public(self) -> dict[str, Any]:
        """Give the settings for the run report: no secret, no tags (they are reported with their outcomes)."""
        connection = self.connection
        return {
            "base_url": connection.base_url,
            "concurrency": connection.concurrency,
            "rate_per_second": connection.rate,
            "timeout_seconds": connection.timeout,
            "retries": connection.retries,
            "verify": connection.verify,
            "to": list(map(mask_secrets, self.to)),
            "refresh": self.refresh,
            "fresh_for_seconds": self.fresh_for.total_seconds(),
            "fresh_since": self.fresh_since.isoformat() if self.fresh_since else None,
            "validate": self.validate,
            "expectations": self.expectations,
            "allow_quarantined": self.allow_quarantined,
            "allow_shrink": self.allow_shrink,
            "phone_numbers": self.privacy.form,
            "csv_dialect": self.csv_dialect,
        }


@dataclass(frozen=True)
class RunSettings(LoadSettings):
    """What a run does that reads in this process; see `LoadSettings`."""

    connection: Connection


def check_judging(settings: Judging) -> None:
    """Refuse a suite that nobody would evaluate.

    Raises:
        SettingsError: there is a suite, but Great Expectations is left out.
    """
    if settings.validate == "contract" and settings.expectations:
        raise SettingsError("--expectations needs Great Expectations: leave --validate contract away")


def parse_duration(text: str) -> timedelta:
    """Read `90s`, `30m` (or `30min`), `6h`, `2d`, or `0`.

    Raises:
        SettingsError: it is none of these.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(s|m|min|h|d)?\s*", text)
    if match is None or (match[2] is None and float(match[1]) != 0):
        raise SettingsError(f"duration {text!r}: give a number and a unit, such as 90s, 30m, 6h or 2d")
    try:
        return timedelta(**{_DURATION_UNITS[match[2] or "s"]: float(match[1])})
    except OverflowError:
        pass
    raise SettingsError(f"duration {text!r} is longer than any data: give a shorter one")


def parse_time(text: str) -> datetime:
    """Read an ISO 8601 time with its offset from UTC, such as `2026-11-23T18:00:00Z`.

    Raises:
        SettingsError: it is none.
    """
    try:
        time: datetime | None = datetime.fromisoformat(text.strip())
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise SettingsError(f"time {text!r}: give date, time and offset, such as 2026-11-23T18:00:00Z")
    return time
