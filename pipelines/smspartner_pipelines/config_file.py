"""The configuration file: each key is an option of `run`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click
from smspartner.errors import SettingsError

_LONGEST_NAME = 40


def read_config(path: str, run: click.Command) -> dict[str, Any]:
    """Read a configuration file (TOML) whose keys are options of `run`.

    Returns:
        The values by the names of the options' parameters, as `Context.default_map` takes them. All are text, which
        click checks as on the command line.

    Raises:
        SettingsError: it can't be read, or has a key that no option has. No value is repeated: it may be the API key in
            the wrong place.
    """
    options = {max(one.opts, key=len): one for one in run.params if isinstance(one, click.Option)}
    found: dict[str, Any] = {}
    for key, value in _read_toml(path).items():
        option = options.get("--" + key.replace("_", "-"))
        if option is None or key == "config":
            raise SettingsError(
                f"configuration file {path}: there is no setting {key[:_LONGEST_NAME]!r}",
                remedy="the keys are the options of `smspartner run --help`, with _ for -; the API key is not one: set "
                "SMSPARTNER_API_KEY, or api_key_file to a file that only you can read",
            )
        values = value if isinstance(value, list) else [value]
        found[option.name or key] = list(map(str, values)) if option.multiple else str(value)
    return found


def _read_toml(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_bytes().decode("utf-8-sig"))
    except OSError as exc:
        problem = exc.strerror or "it can't be read"
    except ValueError as exc:  # no TOML, no UTF-8, or no path at all
        line = getattr(exc, "lineno", None)
        problem = f"line {line} is not TOML" if line else "it is not TOML"
    raise SettingsError(
        f"configuration file {path}: {problem}", remedy="name a TOML file with lines such as concurrency = 8"
    )
