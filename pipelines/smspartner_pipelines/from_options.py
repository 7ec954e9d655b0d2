"""What was given on the command line, in the environment and in a file becomes checked values."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click
from smspartner.api_key import KEY_COMMAND_VARIABLE

from smspartner_pipelines.environment import phone_privacy

if TYPE_CHECKING:
    from smspartner.connection import Connection

    from smspartner_pipelines.settings import RunSettings


def asked_tags(tags: tuple[str, ...], tags_file: str | None) -> tuple[str, ...]:
    """Give the tags of the command line and of a file, checked, each once."""
    from smspartner.tags import check_tags, read_tags_file

    return tuple(check_tags([*tags, *(read_tags_file(tags_file) if tags_file else [])]))


def connection_from(given: dict[str, Any]) -> Connection:
    """Give the connection that the options ask for; a key file named on the command line beats the environment."""
    from smspartner.api_key import read_api_key
    from smspartner.connection import Connection, parse_rate

    return Connection(
        api_key=read_api_key(*_where_the_key_is(given["api_key_file"])),
        base_url=given["base_url"],
        concurrency=given["concurrency"],
        rate=parse_rate(given["rate"]) if given["rate"] else None,
        timeout=given["timeout"],
        retries=given["retries"],
        backoff=given["backoff"],
        verify=given.get("verify", False),
    )


def _where_the_key_is(key_file: str | None) -> tuple[str | None, dict[str, str]]:
    """Give the key file to heed, and the environment: command line beats environment beats configuration file."""
    source = click.get_current_context().get_parameter_source("api_key_file")
    if source is click.core.ParameterSource.COMMANDLINE:
        return key_file, {}
    by_command = source is click.core.ParameterSource.DEFAULT_MAP and KEY_COMMAND_VARIABLE in os.environ
    return None if by_command else key_file, dict(os.environ)


def run_settings(tags: tuple[str, ...], given: dict[str, Any]) -> RunSettings:
    """Give the settings of a run of these tags, from the options of `run`."""
    from smspartner_pipelines.settings import RunSettings, parse_duration, parse_time

    same = ("refresh", "validate", "expectations", "allow_quarantined", "allow_shrink", "keep_shrunk")
    return RunSettings(
        tags=tags,
        connection=connection_from(given),
        to=tuple(given["to"]),
        fresh_for=parse_duration(given["fresh_for"], "--fresh-for"),
        fresh_since=parse_time(given["fresh_since"], "--fresh-since") if given["fresh_since"] else None,
        privacy=phone_privacy(given["phone_numbers"]),
        **{name: given[name] for name in same},
    )


def start_logging(given: dict[str, Any]) -> None:
    """Log as the options ask for."""
    from smspartner_pipelines.logs import configure_logging

    by_count = ("warning", "info", "debug")[min(given["verbose"], 2)]
    configure_logging(given["log_level"] or by_count, given["log_format"])
