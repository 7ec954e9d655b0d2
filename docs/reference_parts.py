"""The generated parts of the reference: commands, settings, tables and vendor codes, as the code states them."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from smspartner import vendor
from smspartner.api_key import KEY_COMMAND_VARIABLE, KEY_VARIABLE, PHONE_KEY_VARIABLE, RETIRED_KEYS_VARIABLE
from smspartner_pipelines.cli import smspartner
from smspartner_schemas.contract import STATE_TABLES, TABLES, Table
from smspartner_schemas.describe import as_table
from smspartner_schemas.sql import CAMPAIGNS, CAMPAIGNS_MEANING, CAMPAIGNS_NAME

PACKAGES = ("schemas/smspartner_schemas", "connector/smspartner", "pipelines/smspartner_pipelines")

_SECRETS = {
    KEY_VARIABLE: "the API key; see also `--api-key-file`",
    KEY_COMMAND_VARIABLE: "a command whose first line is the key, such as `pass show smspartner`; no shell runs it",
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
    """Give the default as the help shows it."""
    stated = re.search(r"\[default: (.+)\]", option.help or "")
    shown = stated[1] if stated else option.get_help_extra(click.Context(smspartner, show_default=True)).get("default")
    return f"`{shown}`" if shown else ""


def secrets() -> str:
    """Give the variables that hold secrets, which no option takes."""
    rows = [f"| `{name}` | {meaning} |" for name, meaning in _SECRETS.items()]
    return "\n".join(["| environment variable | meaning |", "|---|---|", *rows])


def tables() -> str:
    """Give the columns of the tables that users read, and of the view."""
    rows = [f"| `{name}` | {meaning} |" for name, _, meaning in CAMPAIGNS]
    view = "\n".join(["| column | meaning |", "|---|---|", *rows])
    return "\n\n".join(
        [*map(_described, TABLES), f"## {CAMPAIGNS_NAME}", f"{CAMPAIGNS_MEANING} A view of databases.", view]
    )


def state_tables() -> str:
    """Give the columns of the tables that the product keeps for itself."""
    return "\n\n".join(map(_described, STATE_TABLES))


def _described(table: Table) -> str:
    key = ", ".join(f"`{name}`" for name in table.primary_key)
    return f"## {table.name}\n\n{table.meaning} Primary key: {key}.\n\n{as_table(table)}"


def files() -> str:
    """Give every file of the product with the first sentence of its docstring, package by package."""
    return "\n\n".join(f"### {folder}\n\n{_files_of(folder.rpartition('/')[2])}" for folder in PACKAGES)


def _files_of(package: str) -> str:
    root = Path(str(importlib.import_module(package).__file__)).parent
    modules = sorted(root.rglob("*.py"), key=lambda path: (len(path.relative_to(root).parts) > 1, path))
    jobs = {path.relative_to(root).as_posix(): _job(path) for path in modules if path != root / "__init__.py"}
    rows = [f"| `{name}` | {job} |" for name, job in jobs.items()]
    return "\n".join(["| file | its one job |", "|---|---|", *rows])


def _job(path: Path) -> str:
    """Give the first paragraph of a module's docstring, without its full stop."""
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(said.partition("\n\n")[0].split()).removesuffix(".").replace("|", "\\|")


def vendor_codes() -> str:
    """Give the vendor's error codes, and the result for the tag or the run."""
    rows = [f"| {code} | {meaning} | {_result(code)} |" for code, (meaning, _) in vendor.ERROR_CODES.items()]
    return "\n".join(["| code | meaning | result |", "|---|---|---|", *rows])


def _result(code: int) -> str:
    if code in vendor.ACCESS_CODES:
        return "the run ends at once, exit code 5"
    if code in vendor.RETRYABLE_CODES:
        return "asked again, then the tag is `failed`" + (
            "; all requests slow down" if code == vendor.TOO_MANY_CODE else ""
        )
    return "the tag is `unknown`" if code == vendor.UNKNOWN_TAG_CODE else "the tag is `failed`"
