"""The configuration file: each key is an option of `run`, checked as on the command line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click
from smspartner.errors import SettingsError

_LARGEST = 1_000_000
"""Bytes: more than any settings, less than an endless file."""

_LONGEST_NAME = 40


def read_config(path: str, context: click.Context) -> dict[str, Any]:
    """Read a configuration file (TOML), and check each key and value against the options of `run`.

    Returns:
        The values by the names of the options' parameters, as `Context.default_map` takes them.

    Raises:
        SettingsError: it can't be read, or has a key that no option has, or a value that its option refuses. No value
            is repeated: it may be the API key in the wrong place.
    """
    known = _known_settings(context)
    return {
        _option_for(key, known, path).name or key: _checked(key, value, known[key], context, path)
        for key, value in _read_toml(path).items()
    }


def _read_toml(path: str) -> dict[str, Any]:
    where = f"configuration file {path}"
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) <= _LARGEST:
            return tomllib.loads(data.decode("utf-8-sig"))
        problem, remedy = "it is larger than 1 MB", "name a TOML file"
    except OSError as exc:
        problem, remedy = exc.strerror or "it can't be read", "name a TOML file"
    except ValueError as exc:  # no TOML, no UTF-8, or no path at all
        line = getattr(exc, "lineno", None)
        problem = f"line {line} is not TOML" if line else "it is not TOML"
        remedy = "write lines such as concurrency = 8"
    raise SettingsError(f"{where}: {problem}", remedy=remedy)


def _known_settings(context: click.Context) -> dict[str, click.Option]:
    """Give the options of `run` that a file may set, by their long names."""
    root = context.find_root().command
    run = root.get_command(context, "run") if isinstance(root, click.Group) else None
    options = [parameter for parameter in (run.params if run else []) if isinstance(parameter, click.Option)]
    return {_key(option): option for option in options if option.name != "config"}


def _key(option: click.Option) -> str:
    return max(option.opts, key=len).removeprefix("--").replace("-", "_")


def _option_for(key: str, known: dict[str, click.Option], path: str) -> click.Option:
    if key == "api_key":
        raise SettingsError(
            f"configuration file {path}: the API key does not belong there",
            remedy="set SMSPARTNER_API_KEY, or api_key_file to a file that only you can read",
        )
    if key not in known:
        raise SettingsError(
            f"configuration file {path}: there is no setting {key[:_LONGEST_NAME]!r}",
            remedy="the keys are the options of `smspartner run --help`, with _ for -",
        )
    return known[key]


def _checked(key: str, value: Any, option: click.Option, context: click.Context, path: str) -> Any:
    """Give a value as its option takes it: a flag true or false, others text or numbers, one or several."""
    fits = isinstance(value, bool) is option.is_flag and not isinstance(value, dict)
    fits = fits and isinstance(value, list) <= option.multiple
    if fits and not option.is_flag:
        value = [value] if option.multiple and not isinstance(value, list) else value
        value = list(map(str, value)) if option.multiple else str(value)
    try:
        if fits:
            option.type_cast_value(context, value)
            return value
    except click.UsageError:
        pass
    raise SettingsError(f"configuration file {path}, {key}: the value is not valid", remedy=expected(option))


def expected(parameter: click.Parameter) -> str:
    """Say what value a parameter takes."""
    kind = parameter.type
    if isinstance(kind, click.Choice):
        return f"give one of {', '.join(map(str, kind.choices))}"
    if getattr(parameter, "is_flag", False):
        return "give true or false"
    if isinstance(kind, click.IntRange | click.FloatRange):
        return f"give a number from {kind.min} to {kind.max}" if kind.max else f"give a number of at least {kind.min}"
    if isinstance(kind, click.types.IntParamType):
        return "give a whole number"
    return "give a number" if isinstance(kind, click.types.FloatParamType) else "give text"
