"""Renews the generated parts of the pages from the code; with --check, only says which are stale.

A generated part stands between `<!-- generated: NAME -->` and `<!-- /generated -->`; PAGES names all of them.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import python_api
import run_report
from smspartner import vendor
from smspartner.api_key import KEY_COMMAND_VARIABLE, KEY_VARIABLE, PHONE_KEY_VARIABLE, RETIRED_KEYS_VARIABLE
from smspartner_pipelines.cli import smspartner
from smspartner_pipelines.commands.sandbox import KEY as SANDBOX_KEY
from smspartner_pipelines.sandbox import Sandbox
from smspartner_schemas.contract import EXIT_MEANINGS, STATE_TABLES, TABLES, TRY_AGAIN, VERDICT_MEANINGS, Table
from smspartner_schemas.describe import as_table
from smspartner_schemas.sql import CAMPAIGNS, CAMPAIGNS_MEANING, CAMPAIGNS_NAME

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # for the hostile server, whose kinds of fault a page lists
FAULT_MATRIX = ROOT / "tests" / "program" / "fault_matrix.toml"
PACKAGES = ("schemas/smspartner_schemas", "connector/smspartner", "pipelines/smspartner_pipelines")
_EXAMPLE = ("run", "promo-nov", "soldes-été", "never-sent", "--to", "data")
_SECRETS = {
    KEY_VARIABLE: "the API key; see also `--api-key-file`",
    KEY_COMMAND_VARIABLE: "a command whose first line is the key, run without a shell: [recipes](../how-to/api-key.md)",
    PHONE_KEY_VARIABLE: "the key of hashed phone numbers and of erasures, at least 16 random characters",
    RETIRED_KEYS_VARIABLE: "phone keys that were replaced, one a line: people erased under them stay erased",
}


def _table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Give a table in Markdown."""
    head, *others = (f"| {' | '.join(map(str, row))} |" for row in (names, *rows))
    return "\n".join([head, "|" + "---|" * len(names), *others])


def example() -> str:
    """Run the main job on the sandbox, and give what it prints, but for the run's name and time."""
    command = Path(sys.executable).with_name("smspartner")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("SMSPARTNER_", "COLUMNS"))}
    with Sandbox() as sandbox, tempfile.TemporaryDirectory() as folder:
        env = {**plain, "SMSPARTNER_API_KEY": SANDBOX_KEY, "SMSPARTNER_BASE_URL": sandbox.url}
        ended = subprocess.run(  # noqa: S603  # our own command
            [command, *_EXAMPLE], cwd=folder, env=env, capture_output=True, encoding="utf-8", check=True
        )
    moving = r"run \d{8}T\d{6}Z-[0-9a-f]{8}(.*), [0-9.]+ s$"
    printed = re.sub(moving, r"run RUN_ID\1, 2.1 s", ended.stderr, flags=re.MULTILINE)
    lines = [line.rstrip() for line in printed.splitlines()]
    return "\n".join(["```text", f"$ smspartner {' '.join(_EXAMPLE)}", *lines, "```"])


def files() -> str:
    """Give every file of the product with the first sentence of its docstring, package by package."""
    return "\n\n".join(f"### {folder}\n\n{_files_of(folder.rpartition('/')[2])}" for folder in PACKAGES)


def _files_of(package: str) -> str:
    root = Path(str(importlib.import_module(package).__file__)).parent
    modules = sorted(root.rglob("*.py"), key=lambda path: (len(path.relative_to(root).parts) > 1, path))
    others = (path for path in modules if path != root / "__init__.py")
    rows = ((f"`{path.relative_to(root).as_posix()}`", _job(path)) for path in others)
    return _table(("file", "its one job"), rows)


def _job(path: Path) -> str:
    """Give the first paragraph of a module's docstring, without its full stop."""
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(said.partition("\n\n")[0].split()).removesuffix(".").replace("|", "\\|")


def fault_matrix() -> str:
    """Give what becomes of a tag that a fault strikes, as the test of all faults expects it."""
    matrix = tomllib.loads(FAULT_MATRIX.read_text(encoding="utf-8"))
    places = matrix.pop("places")
    return "\n\n".join(_behaviour(behaviour, places) for behaviour in matrix.values())


def _behaviour(behaviour: dict[str, Any], places: dict[str, str]) -> str:
    from faults import KINDS

    results = []
    for place in filter(behaviour.__contains__, places):
        cell = {"rows": [], "quarantined": 0, **behaviour[place]}
        code = {"-": 5, "complete": 4 if cell["quarantined"] else 0}.get(cell["verdict"], 3)
        verdict = "" if cell["verdict"] == "-" else f"`{cell['verdict']}`"
        results.append((places[place], verdict, code, cell["requests"], len(cell["rows"]), cell["quarantined"]))
    names = ("struck", "verdict", "exit code", "requests", "rows loaded", "in quarantine")
    kinds = [(f"`{kind}`", KINDS[kind].meaning.replace("|", "&#124;")) for kind in behaviour["kinds"]]
    tables = _table(names, results), _table(("fault", "what it does"), kinds)
    return "\n\n".join([f"## {behaviour['title']}", behaviour["says"], *tables])


def lawful() -> str:
    """Give the populations that look odd and must load, as their test serves them."""
    from faults.populations import lawful as populations

    return _table(("population", "rows"), ((meaning, campaign.rows) for meaning, campaign in populations().values()))


def commands() -> str:
    """Give what every command says of itself with `--help`, and each of its options under a heading of its own."""
    parent = click.Context(smspartner, info_name="smspartner", terminal_width=78, **smspartner.context_settings)
    parts = []
    for name, command in smspartner.commands.items():
        context = click.Context(command, parent, name)
        blocks = command.get_help(context).rstrip().split("\n\n")
        text = "\n\n".join(block for block in blocks if not re.match(r"[^\n]+:\n  -", block))
        parts.append(f"## smspartner {name}\n\n```text\n{text}\n```")
        options = (option for option in command.params if isinstance(option, click.Option))
        parts += [_option(name, option, context) for option in options]
    return "\n\n".join(parts)


def _option(command: str, option: click.Option, context: click.Context) -> str:
    """Give an option's heading, whose anchor is its own, how it is written, and what it means."""
    names, meaning = option.get_help_record(context) or ("", "")
    said = re.sub(r"\s*\[default: (.+)\]$", r" Default: `\1`.", meaning).replace("*", "\\*")
    variable = f" Environment: `{option.envvar}`." if option.envvar else ""
    return f"### {command} {max(option.opts, key=len)}\n\n`{names}`: {said}{variable}"


def vendor_codes() -> str:
    """Give the vendor's error codes, and the result for the tag or the run."""
    rows = ((code, meaning, _result(code)) for code, (meaning, _) in vendor.ERROR_CODES.items())
    return _table(("code", "meaning", "result"), rows)


def _result(code: int) -> str:
    if code in vendor.ACCESS_CODES:
        return "the run ends at once, exit code 5"
    if code in vendor.RETRYABLE_CODES:
        slow = "; all requests slow down" if code == vendor.TOO_MANY_CODE else ""
        return f"asked again, then the tag is `failed`{slow}"
    return "the tag is `unknown`" if code == vendor.UNKNOWN_TAG_CODE else "the tag is `failed`"


def settings() -> str:
    """Give every option that has an environment variable: its variable, key in a TOML file, default and commands."""
    in_file = {option.name for option in smspartner.commands["run"].params} - {"config"}
    users: dict[str, list[str]] = {}
    rows: dict[str, list[str]] = {}
    for command_name, command in smspartner.commands.items():
        for option in command.params:
            if isinstance(option, click.Option) and option.envvar:
                name = max(option.opts, key=len)
                key = f"`{name.removeprefix('--').replace('-', '_')}`" if option.name in in_file else ""
                rows.setdefault(name, [f"`{name}`", f"`{option.envvar}`", key, _default(option)])
                users.setdefault(name, []).append(f"`{command_name}`")
    names = ("option", "environment variable", "key in a TOML file", "default", "commands")
    return _table(names, ([*row, ", ".join(users[name])] for name, row in rows.items()))


def _default(option: click.Option) -> str:
    """Give the default as the help shows it."""
    stated = re.search(r"\[default: (.+)\]", option.help or "")
    shown = stated[1] if stated else option.get_help_extra(click.Context(smspartner, show_default=True)).get("default")
    return f"`{shown}`" if shown else ""


def tables() -> str:
    """Give the columns of the tables that users read, and of the view."""
    view = _table(("column", "meaning"), ((f"`{name}`", meaning) for name, _, meaning in CAMPAIGNS))
    of_view = f"## {CAMPAIGNS_NAME}", f"{CAMPAIGNS_MEANING} A view of databases.", view
    return "\n\n".join([*map(_described, TABLES), *of_view])


def _described(table: Table) -> str:
    key = ", ".join(f"`{name}`" for name in table.primary_key)
    return f"## {table.name}\n\n{table.meaning} Primary key: {key}.\n\n{as_table(table)}"


def scale() -> str:
    """Give what very many rows take, from the inputs in `scale.toml`."""
    given = tomllib.loads((ROOT / "docs" / "scale.toml").read_text(encoding="utf-8"))
    measured, rows, tags = given["measured"], given["rows"], given["tags"]
    requests = tags * -(-rows // tags // given["page_rows"])
    machine = rows / 1e6 * measured["seconds_per_million_rows"] + tags * measured["milliseconds_per_tag"] / 1e3
    at_once = requests * given["latency"] / given["in_flight"]
    speed = f"{_duration(machine)} ({rows / machine:,.0f} rows a second)"
    disk = f"{rows / 1e6 * measured['megabytes_per_million_rows'] / 1e3:.1f} GB on the disk, in a file for each tag"
    memory = f"{measured['memory_megabytes']} MB of memory, and {measured['memory_kilobytes_per_tag']} KB for each tag"
    paces = []
    for name, pace in given["paces"].items():
        taken = requests / pace * 60 if pace else at_once
        paces.append((name, _duration(taken), "the API's pace" if taken > machine else "the machine"))
    return "\n".join(
        [
            f"- {rows:,} rows under {tags:,} tags, {given['page_rows']:,} rows a page: {requests:,} requests.",
            f"- The machine takes {speed}, {disk}. A run takes {memory}: a million tags go in several runs.",
            f"- One machine keeps up with an API that allows {requests / machine * 60:,.0f} requests a minute.",
            "",
            _table(("requests a minute", "the API's pace takes", "what decides"), paces),
            "",
            f"As fast as it answers: {given['latency']:g} s a response, {given['in_flight']} in flight.",
        ]
    )


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _in_code(meanings: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(f"`{name}`", meaning) for name, meaning in meanings.items()]


PAGES = {
    "README.md": {"example": example},
    "docs/architecture.md": {"files": files},
    "docs/faults.md": {"lawful": lawful, "matrix": fault_matrix},
    "docs/reference/commands.md": {"commands": commands},
    "docs/reference/outcomes.md": {
        "exit-codes": partial(
            _table,
            ("exit code", "meaning", "try again"),
            [(int(code), meaning, "yes" if code in TRY_AGAIN else "") for code, meaning in EXIT_MEANINGS.items()],
        ),
        "vendor-codes": vendor_codes,
        "verdicts": partial(_table, ("verdict", "meaning"), _in_code(VERDICT_MEANINGS)),
    },
    "docs/reference/python.md": python_api.PARTS,
    "docs/reference/run-report.md": {"fields": partial(run_report.tables, ROOT / run_report.SCHEMA)},
    "docs/reference/settings.md": {
        "secrets": partial(_table, ("environment variable", "meaning"), _in_code(_SECRETS)),
        "settings": settings,
    },
    "docs/reference/tables.md": {"state": lambda: "\n\n".join(map(_described, STATE_TABLES)), "tables": tables},
    "docs/scale.md": {"scale": scale},
}
"""The parts of each page, by name."""


def main() -> int:
    """Renew the schema of the run report and the pages, or check them."""
    stale = _renew(run_report.SCHEMA, run_report.schema(ROOT / run_report.SCHEMA))
    for page, parts in PAGES.items():
        fresh = (ROOT / page).read_text(encoding="utf-8")
        for name, make in parts.items():
            begin, end = f"<!-- generated: {name} -->", "<!-- /generated -->"
            before, rest = fresh.split(begin, maxsplit=1)
            fresh = f"{before}{begin}\n{make()}\n{end}{rest.split(end, maxsplit=1)[1]}"
        stale |= _renew(page, fresh)
    return stale


def _renew(page: str, fresh: str) -> bool:
    """Write a page anew, or say that it is stale."""
    if "--check" not in sys.argv:
        (ROOT / page).write_text(fresh, encoding="utf-8")
    elif fresh != (ROOT / page).read_text(encoding="utf-8"):
        sys.stderr.write(f"{page} is stale: run docs/generate.py\n")
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
