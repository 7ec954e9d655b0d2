"""The settings of a run: one frozen value, checked when it is built, before anything is requested."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from smspartner.api_key import PHONE_KEY_VARIABLE, RETIRED_KEYS_VARIABLE
from smspartner.connection import Connection, connection_from_environment
from smspartner.errors import SettingsError
from smspartner.privacy import PhonePrivacy
from smspartner.redaction import REDACT, Secret
from smspartner.tags import check_no_secret
from smspartner_schemas.contract import PhoneForm

from smspartner_pipelines.load import check_each_once, mask_secrets

Refresh = Literal["auto", "all", "unsettled"]
Validate = Literal["gx", "contract"]

AS_GIVEN = ("refresh", "validate", "expectations", "allow_quarantined", "allow_shrink", "keep_shrunk")
"""Settings that are values of options as they are, and stand so in the run report."""

_DURATION_UNITS = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class RunSettings:
    """What one run does.

    Attributes:
        tags: The tags to ask for, checked, each once.
        to: The URIs of the destinations.
        connection: How the API is reached; as the environment says, unless given.
        refresh: `auto` asks settled tags for their first page, `unsettled` asks nothing of them, `all` reads all.
        fresh_for: The age of a loaded reading below which a tag is skipped without a request.
        fresh_since: A tag read since then is skipped, too; aware.
        validate: `gx` for Great Expectations beside the contract's row rules, `contract` for these alone.
        expectations: A file with a suite of the user's, in Great Expectations' own format.
        allow_quarantined: Rows in quarantine that still count as success.
        allow_shrink: Load a smaller population over a larger one.
        keep_shrunk: Count tags that shrank as skipped; `allow_shrink` comes first.
        privacy: The form of phone numbers, with its keys.

    Raises:
        SettingsError: no destination, one place named twice, a value out of range, or a secret among the values.
    """

    tags: tuple[str, ...]
    to: tuple[str, ...]
    connection: Connection = field(default_factory=connection_from_environment)
    refresh: Refresh = "auto"
    fresh_for: timedelta = timedelta(0)
    fresh_since: datetime | None = None
    validate: Validate = "gx"
    expectations: str | None = None
    allow_quarantined: int = 0
    allow_shrink: bool = False
    keep_shrunk: bool = False
    privacy: PhonePrivacy = field(default_factory=PhonePrivacy)

    def __post_init__(self) -> None:
        self._check_no_secret()
        self._check_destinations()
        if self.refresh not in get_args(Refresh) or self.validate not in get_args(Validate):
            raise SettingsError("refresh or validate has an unknown value", remedy="give one that the help names")
        if self.allow_quarantined < 0:
            raise SettingsError(f"allow_quarantined is {self.allow_quarantined}", remedy="give 0 or more")
        if self.validate == "contract" and self.expectations:
            raise SettingsError("--expectations needs Great Expectations", remedy="remove --validate contract")

    def _check_no_secret(self) -> None:
        """Refuse the API key where it stands by mistake: these settings are written into names, tables and reports."""
        check_no_secret(self.tags)
        written = {
            "--to": "\n".join(map(mask_secrets, self.to)),
            "--expectations": self.expectations or "",
            "--base-url": self.connection.base_url,
        }
        for name, value in written.items():
            if REDACT.finds(value):
                raise SettingsError(
                    f"{name} holds the API key or another secret", remedy="remove it: it would be written down there"
                )

    def _check_destinations(self) -> None:
        """Refuse none at all, and two names of one place."""
        if not self.to:
            raise SettingsError("no destination", remedy="name at least one, such as --to data/ or --to statuses.csv")
        check_each_once(self.to)

    def public(self) -> dict[str, Any]:
        """Give the settings for the run report: no secret, no tags (they are reported with their verdicts)."""
        reach = ("base_url", "concurrency", "retries", "verify")
        return {
            **{name: getattr(self.connection, name) for name in reach},
            "rate": str(self.connection.rate) if self.connection.rate else None,
            "timeout_seconds": self.connection.timeout,
            "to": list(map(mask_secrets, self.to)),
            "fresh_for_seconds": self.fresh_for.total_seconds(),
            "fresh_since": self.fresh_since.isoformat() if self.fresh_since else None,
            "phone_numbers": self.privacy.form,
            **{name: getattr(self, name) for name in AS_GIVEN},
        }


def phone_privacy(form: PhoneForm, environ: Mapping[str, str] = os.environ) -> PhonePrivacy:
    """Give a form of phone numbers, with the keys of the environment.

    Raises:
        SettingsError: `hashed` without a phone key that is long enough.
    """
    current = environ.get(PHONE_KEY_VARIABLE, "")
    retired = environ.get(RETIRED_KEYS_VARIABLE, "").splitlines()
    return PhonePrivacy(
        form, Secret(current) if current.strip() else None, tuple(Secret(key) for key in retired if key.strip())
    )


def parse_duration(text: str, name: str = "the duration") -> timedelta:
    """Read `90s`, `30m` (or `30min`), `6h`, `2d`, or `0`.

    Raises:
        SettingsError: it is none of these.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(s|m|min|h|d)?\s*", text)
    if match is None or (match[2] is None and float(match[1]) != 0):
        raise SettingsError(f"{name} is no duration", remedy="give a number and a unit, such as 90s, 30m, 6h or 2d")
    with suppress(OverflowError):
        return timedelta(**{_DURATION_UNITS[match[2] or "s"]: float(match[1])})
    raise SettingsError(f"{name} is longer than any data", remedy="give a shorter one")


def parse_time(text: str, name: str = "the time") -> datetime:
    """Read an ISO 8601 time with its offset from UTC, such as `2026-11-23T18:00:00Z`.

    Raises:
        SettingsError: it is none.
    """
    with suppress(ValueError):
        time = datetime.fromisoformat(text.strip())
        if time.tzinfo is not None:
            return time
    raise SettingsError(f"{name} is no time", remedy="give date, time and offset, such as 2026-11-23T18:00:00Z")
