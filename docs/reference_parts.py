"""The generated parts of the reference: commands, settings, tables and vendor codes, as the code states them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import click
from smspartner import vendor
from smspartner.api_key import KEY_VARIABLE, PHONE_KEY_VARIABLE, RETIRED_KEYS_VARIABLE
from smspartner_pipelines.cli import smspartner
from smspartner_schemas.campaigns import CAMPAIGNS, CAMPAIGNS_MEANING, CAMPAIGNS_NAME
from smspartner_schemas.contract import ERASURES, LOADED_TAGS, RUNS, TABLES, Table
from smspartner_schemas.describe import as_table

_SECRETS = {
    KEY_VARIABLE: "the API key; see also `--api-key-file`",
    PHONE_KEY_VARIABLE: "the key of hashed phone numbers and of erasures, at least 16 random characters",
    RETIRED_KEYS_VARIABLE: "phone keys that were replaced, one a line: people erased under them stay erased",
}


def commands(help_of: Callable[..., str]) -> str:
    """Give what every command says of itself with `--help`, as `help_of` runs it."""
    parts = []
    for names, command in _commands(smspartner):
        if not command.hidden:
            parts.append(f"## smspartner {' '.join(names)}\n\n```text\n{help_of(*names, '--help').rstrip()}\n```")
    return "\n\n".join(parts)


def _commands(group: click.Group, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, (*above, name))
        else:
            yield (*above, name), command


def settings() -> str:
    """Give every option that has an environment variable: its variable, key in a TOML file, default and commands."""
    in_file = {option.name for option in _options(smspartner.commands["run"])} - {"config"}
    found: dict[str, tuple[click.Option, list[str]]] = {}
    for names, command in _commands(smspartner):
        for option in filter(lambda option: option.envvar, _options(command)):
            found.setdefault(_long(option), (option, []))[1].append(" ".join(names))
    lines = ["| option | environment variable | key in a TOML file | default | commands |", "|---|---|---|---|---|"]
    for name, (option, users) in found.items():
        key = f"`{name.removeprefix('--').replace('-', '_')}`" if option.name in in_file else ""
        used = ", ".join(f"`{user}`" for user in users)
        lines.append(f"| `{name}` | `{option.envvar}` | {key} | {_default(option)} | {used} |")
    return "\n".join(lines)


def _options(command: click.Command) -> list[click.Option]:
    return [parameter for parameter in command.params if isinstance(parameter, click.Option)]


def _long(option: click.Option) -> str:
    return max(option.opts, key=len)


def _default(option: click.Option) -> str:
    shown = option.default if option.show_default else None
    return "" if shown is None else f"`{shown}`"


def secrets() -> str:
    """Give the variables that hold secrets, which no option takes."""
    rows = [f"| `{name}` | {meaning} |" for name, meaning in _SECRETS.items()]
    return "\n".join(["| environment variable | meaning |", "|---|---|", *rows])


def tables() -> str:
    """Give the columns of the tables that users read, and of the view."""
    rows = [f"| `{column.name}` | {column.meaning} |" for column in CAMPAIGNS]
    view = "\n".join(["| column | meaning |", "|---|---|", *rows])
    return "\n\n".join(
        [*map(_described, TABLES), f"## {CAMPAIGNS_NAME}", f"{CAMPAIGNS_MEANING} A view of databases.", view]
    )


def bookkeeping() -> str:
    """Give the columns of the tables that the product keeps for itself."""
    return "\n\n".join(map(_described, (LOADED_TAGS, ERASURES, RUNS)))


def _described(table: Table) -> str:
    key = ", ".join(f"`{name}`" for name in table.primary_key)
    return f"## {table.name}\n\n{table.meaning} Primary key: {key}.\n\n{as_table(table)}"


def vendor_codes() -> str:
    """Give the vendor's error codes, and what becomes of the tag or the run."""
    rows = [f"| {code} | {meaning} | {_becomes(code)} |" for code, meaning in vendor.ERROR_CODES.items()]
    return "\n".join(["| code | meaning | what becomes of it |", "|---|---|---|", *rows])


def _becomes(code: int) -> str:
    if code in vendor.ACCESS_CODES:
        return "the run ends at once, exit code 5"
    return "the tag is `unknown`" if code == vendor.UNKNOWN_TAG_CODE else "the tag is `failed`"
