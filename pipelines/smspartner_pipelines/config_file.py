"""The configuration file: each key is an option of `run`."""

from __future__ import annotations

import tomllib
from typing import Any

import click
from smspartner.errors import SettingsError
from smspartner.small_files import read_small_file

CONFIG = "smspartner.config"
"""Where click's context names the file."""

_MOST_BYTES = 1024 * 1024


def load_config(context: click.Context, _parameter: click.Parameter, path: str | None) -> None:
    """Take the keys of a configuration file as defaults: texts, which click checks as on the command line.

    No value is repeated where one is wrong: it may be the API key in the wrong place.
    """
    if not path:
        return
    program: Any = context.find_root().command
    options = {max(one.opts, key=len): one for one in program.commands["run"].params if isinstance(one, click.Option)}
    context.meta[CONFIG] = path
    context.default_map = found = {}
    for key, value in _read_toml(path).items():
        option = options.get("--" + key.replace("_", "-"))
        if option is None or key == "config":
            raise SettingsError(
                f"configuration file {path}: there is no setting {key[:40]!r}",
                remedy="the keys are the options of `smspartner run --help`, with _ for -; the API key is not one: set "
                "SMSPARTNER_API_KEY, or api_key_file to a file that only you can read",
            )
        values = value if isinstance(value, list) else [value]
        found[option.name or key] = list(map(str, values)) if option.multiple else str(value)


def _read_toml(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(read_small_file(path, _MOST_BYTES).decode("utf-8-sig"))
    except OSError as exc:
        problem = exc.strerror or "it can't be read"
    except ValueError as exc:  # no TOML, no UTF-8, or no path at all
        line = getattr(exc, "lineno", None)
        problem = f"line {line} is not TOML" if line else "it is not TOML"
    raise SettingsError(
        f"configuration file {path}: {problem}", remedy="name a TOML file with lines such as concurrency = 8"
    )
