"""The settings of a run on Spark, from keyword arguments as a notebook gives them, checked on the driver."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from smspartner.connection import BASE_URL_VARIABLE, parse_rate
from smspartner.errors import SettingsError
from smspartner.vendor import DEFAULT_BASE_URL

from smspartner_pipelines.environment import phone_privacy
from smspartner_pipelines.settings import LoadSettings, parse_duration
from smspartner_pipelines.spark.options import KEY_REMEDY, SECRET_NAME, ReadOptions

_REACHING = ("base_url", "concurrency", "rate", "timeout", "retries", "backoff", "verify")
_LOADING = ("refresh", "fresh_for", "validate", "expectations", "allow_quarantined", "allow_shrink", "csv_dialect")
_CHOICES = {
    "refresh": ("auto", "all"),
    "validate": ("gx", "contract"),
    "csv_dialect": ("rfc4180", "excel"),
    "phone_numbers": ("plain", "masked", "hashed"),
}


def run_settings(
    tags: tuple[str, ...], to: tuple[str, ...], given: Mapping[str, Any]
) -> tuple[LoadSettings, ReadOptions]:
    """Give what the driver does, and how the tasks reach the API; what is None counts as not given.

    Raises:
        SettingsError: a setting is unknown, wrong, or named like a secret.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    for name in chosen:
        _check_name(name)
    for name, allowed in _CHOICES.items():
        if chosen.get(name, allowed[0]) not in allowed:
            raise SettingsError(f"{name}: give one of {', '.join(allowed)}")
    reaching: dict[str, Any] = {name: chosen[name] for name in _REACHING if name in chosen}
    reaching.setdefault("base_url", os.environ.get(BASE_URL_VARIABLE) or DEFAULT_BASE_URL)
    if isinstance(reaching.get("rate"), str):
        reaching["rate"] = parse_rate(reaching["rate"])
    form = chosen.get("phone_numbers", "plain")
    reach = ReadOptions(tags=(), phone_numbers=form, table="everything", report=True, **reaching)
    loading: dict[str, Any] = {name: chosen[name] for name in _LOADING if name in chosen}
    if not isinstance(loading.get("fresh_for", timedelta()), timedelta):
        loading["fresh_for"] = parse_duration(str(loading["fresh_for"]))
    return LoadSettings(tags=tags, connection=reach, to=to, privacy=phone_privacy(form), **loading), reach


def _check_name(name: str) -> None:
    if name in {*_REACHING, *_LOADING, "phone_numbers"}:
        return
    if SECRET_NAME.search(name):
        raise SettingsError(f"there is no setting {name!r}: {KEY_REMEDY}")
    known = ", ".join(sorted({*_REACHING, *_LOADING, "phone_numbers", "staging", "partitions"}))
    raise SettingsError(f"there is no setting {name!r}; there are {known}")
