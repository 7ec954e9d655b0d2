"""The configuration file: each key is an option of `run`, checked as on the command line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click
from smspartner.errors import SettingsError


def read_config(path: str, context: click.Context) -> dict[str, Any]:
    """Read a configuration file (TOML), and check each key and value against the options of `run`.

    Raises:
        SettingsError: it can't be read, or has a key that no option has, or a value that its option refuses.
    """
    trouble = None
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as exc:
        trouble = f"{exc.strerror}; name a TOML file"
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        trouble = f"{str(exc).splitlines()[0]}; write TOML, such as concurrency = 8"
    if trouble:
        raise SettingsError(f"configuration file {path}: {trouble}")
    known = _known_settings(context)
    for key, value in values.items():
        _check_config_value(path, key, value, known.get(key), context)
    return {known[key].name or key: value for key, value in values.items()}


def _known_settings(context: click.Context) -> dict[str, click.Parameter]:
    """Give the options of `run` that a file may set, by their long names."""
    root = context.find_root().command
    run = root.get_command(context, "run") if isinstance(root, click.Group) else None
    options = [parameter for parameter in (run.params if run else []) if isinstance(parameter, click.Option)]
    return {_key(option): option for option in options if option.name != "config"}


def _key(option: click.Option) -> str:
    return max(option.opts, key=len).removeprefix("--").replace("-", "_")


def _check_config_value(
    path: str, key: str, value: Any, parameter: click.Parameter | None, context: click.Context
) -> None:
    if key == "api_key":
        raise SettingsError(
            f"configuration file {path}: the API key does not belong into it; "
            "set SMSPARTNER_API_KEY, or api_key_file to a file that only you can read"
        )
    if parameter is None:
        raise SettingsError(
            f"configuration file {path}: there is no setting {key!r}; "
            "the keys are the options of `smspartner run --help`, with _ for -"
        )
    try:
        parameter.type_cast_value(context, value)
    except (click.UsageError, TypeError, ValueError) as exc:
        told = exc.format_message() if isinstance(exc, click.UsageError) else "it has the wrong type"
    else:
        return
    raise SettingsError(f"configuration file {path}, {key}: {told}")
