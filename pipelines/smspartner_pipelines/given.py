"""What was given on the command line, in the environment and in a file becomes checked values."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click
from smspartner_pipelines.load import secrets_in
from smspartner.redaction import REDACT, Secret

from smspartner_pipelines.environment import PREFIX

if TYPE_CHECKING:
    from smspartner.connection import Connection
    from smspartner.phone_numbers import PhonePrivacy

    from smspartner_pipelines.settings import RunSettings

_PASSWORDS = ("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Where the environment may hold what destinations ask for, besides their URIs."""


def secrets_of_the_environment() -> list[Secret]:
    """Give what must not be told, before any of it is read: an option may hold it by mistake, and be refused."""
    passwords = (os.environ.get(name, "") for name in _PASSWORDS)
    values = (_environment("API_KEY"), *_phone_keys(), *passwords, *secrets_in(_environment("TO")))
    return [Secret(value.strip()) for value in values]


def _phone_keys() -> list[str]:
    """Give the current key, which may be empty, and the retired ones."""
    return [_environment("PHONE_KEY"), *_environment("RETIRED_PHONE_KEYS").splitlines()]


def _environment(name: str) -> str:
    return os.environ.get(PREFIX + name, "")


def asked_tags(tags: tuple[str, ...], tags_file: str | None) -> tuple[str, ...]:
    """Give the tags of the command line and of a file, checked, each once."""
    from smspartner.tags import check_tags, read_tags_file

    return tuple(check_tags([*tags, *(read_tags_file(tags_file) if tags_file else [])]))


def connection_from(given: dict[str, Any]) -> Connection:
    """Give the connection that the options ask for; a key file named on the command line beats the environment."""
    from smspartner.connection import Connection, parse_rate, read_api_key

    environment = {} if _names_key_file() else dict(os.environ)
    return Connection(
        api_key=read_api_key(key_file_in_use(given), environment),
        base_url=given["base_url"],
        concurrency=given["concurrency"],
        rate=parse_rate(given["rate"]) if given["rate"] else None,
        timeout=given["timeout"],
        retries=given["retries"],
        backoff=given["backoff"],
        verify=given.get("verify", False),
    )


def key_file_in_use(given: dict[str, Any]) -> str | None:
    """Give the file that the key is read from; None where the environment itself has it, or there is none."""
    if not _names_key_file() and _environment("API_KEY"):
        return None
    file: str | None = given["api_key_file"]
    return file


def _names_key_file() -> bool:
    source = click.get_current_context().get_parameter_source("api_key_file")
    return source is click.core.ParameterSource.COMMANDLINE


def run_settings(tags: tuple[str, ...], connection: Connection, given: dict[str, Any]) -> RunSettings:
    """Give the settings of a run."""
    from smspartner_pipelines.settings import RunSettings, parse_duration, parse_time

    return RunSettings(
        tags=tags,
        connection=connection,
        to=tuple(given["to"]),
        refresh=given["refresh"],
        fresh_for=parse_duration(given["fresh_for"]),
        fresh_since=parse_time(given["fresh_since"]) if given["fresh_since"] else None,
        validate=given["validate"],
        expectations=given["expectations"],
        allow_quarantined=given["allow_quarantined"],
        allow_shrink=given["allow_shrink"],
        privacy=phone_privacy(given["phone_numbers"]),
        csv_dialect=given["csv_dialect"],
    )


def phone_privacy(form: Any) -> PhonePrivacy:
    """Give the form of phone numbers, with the keys of the environment."""
    from smspartner.phone_numbers import PhonePrivacy

    current, *retired = [Secret(key) if key.strip() else None for key in _phone_keys()]
    return PhonePrivacy(form, current, tuple(filter(None, retired)))


def start_logging(given: dict[str, Any]) -> None:
    """Log as the options ask for, once the secrets of the environment are known."""
    from smspartner_pipelines.logs import configure_logging

    for secret in secrets_of_the_environment():
        REDACT.add(secret)
    by_count = ("warning", "info", "debug")[min(given["verbose"], 2)]
    configure_logging(given["log_level"] or by_count, given["log_format"])
