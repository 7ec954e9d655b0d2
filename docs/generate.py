"""Renews the generated parts of the pages from the code; with --check, only says which are stale.

A generated part stands between `<!-- generated: NAME -->` and `<!-- /generated -->`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import reference_parts
from smspartner_pipelines.commands.sandbox import KEY as SANDBOX_KEY
from smspartner_pipelines.sandbox import Sandbox
from smspartner_schemas.contract import EXIT_MEANINGS, VERDICT_MEANINGS

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # for the hostile server, whose kinds of fault a page lists
FAULT_MATRIX = ROOT / "tests" / "program" / "fault_matrix.toml"
_EXAMPLE = ("run", "promo-nov", "soldes-été", "never-sent", "--to", "data")


def exit_codes() -> str:
    """Give the table of exit codes."""
    rows = [f"| {int(code)} | {meaning} |" for code, meaning in EXIT_MEANINGS.items()]
    return "\n".join(["| exit code | meaning |", "|---|---|", *rows])


def verdicts() -> str:
    """Give the table of verdicts."""
    rows = [f"| `{verdict}` | {meaning} |" for verdict, meaning in VERDICT_MEANINGS.items()]
    return "\n".join(["| verdict | meaning |", "|---|---|", *rows])


def commands() -> str:
    """Give the help texts of all commands."""
    return reference_parts.commands(lambda *arguments: _smspartner(*arguments).stdout)


def example() -> str:
    """Run the main job on the sandbox, and give what it prints, but for the run's name and time."""
    with Sandbox() as sandbox, tempfile.TemporaryDirectory() as directory:
        environment = {"SMSPARTNER_API_KEY": SANDBOX_KEY, "SMSPARTNER_BASE_URL": sandbox.url}
        printed = _smspartner(*_EXAMPLE, directory=directory, environment=environment).stderr
    printed = re.sub(
        r"run \d{8}T\d{6}Z-[0-9a-f]{8}(.*), [0-9.]+ s$", r"run RUN_ID\1, 2.1 s", printed, flags=re.MULTILINE
    )
    lines = [line.rstrip() for line in printed.splitlines()]
    return "\n".join(["```text", f"$ smspartner {' '.join(_EXAMPLE)}", *lines, "```"])


def _smspartner(
    *arguments: str, directory: str | None = None, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("smspartner")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("SMSPARTNER_", "COLUMNS"))}
    return subprocess.run(  # noqa: S603  # our own command
        [command, *arguments],
        cwd=directory,
        env={**plain, **(environment or {})},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )


def fault_matrix() -> str:
    """Give what becomes of a tag that a fault strikes, as the test of all faults expects it."""
    matrix = tomllib.loads(FAULT_MATRIX.read_text(encoding="utf-8"))
    places = matrix.pop("places")
    return "\n\n".join(_behaviour(behaviour, places) for behaviour in matrix.values())


def _behaviour(behaviour: dict[str, Any], places: dict[str, str]) -> str:
    from faults import KINDS

    lines = [f"## {behaviour['title']}", "", behaviour["says"], ""]
    lines += ["| struck | verdict | exit code | requests | rows loaded | in quarantine |", "|---|---|---|---|---|---|"]
    for place in filter(behaviour.__contains__, places):
        cell = {"rows": [], "quarantined": 0, **behaviour[place]}
        code = {"-": 5, "complete": 4 if cell["quarantined"] else 0}.get(cell["verdict"], 3)
        verdict = "" if cell["verdict"] == "-" else f"`{cell['verdict']}`"
        facts = (verdict, code, cell["requests"], len(cell["rows"]), cell["quarantined"])
        lines.append(f"| {places[place]} | {' | '.join(map(str, facts))} |")
    lines += ["", "| fault | what it does |", "|---|---|"]
    lines += [f"| `{kind}` | {KINDS[kind].meaning.replace('|', '&#124;')} |" for kind in behaviour["kinds"]]
    return "\n".join(lines)


def lawful() -> str:
    """Give the populations that look odd and must load, as their test serves them."""
    from faults.populations import lawful as populations

    rows = [f"| {meaning} | {campaign.rows} |" for meaning, campaign in populations().values()]
    return "\n".join(["| population | rows |", "|---|---|", *rows])


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
    lines = [
        f"- {rows:,} rows under {tags:,} tags, {given['page_rows']:,} rows a page: {requests:,} requests.",
        f"- The machine takes {speed}, {disk}. A run takes {memory}: a million tags go in several runs.",
        f"- One machine keeps up with an API that allows {requests / machine * 60:,.0f} requests a minute.",
        *("", "| requests a minute | the API's pace takes | what decides |", "|---|---|---|"),
    ]
    for name, pace in given["paces"].items():
        taken = requests / pace * 60 if pace else at_once
        decides = "the API's pace" if taken > machine else "the machine"
        lines.append(f"| {name} | {_duration(taken)} | {decides} |")
    note = f"As fast as it answers: {given['latency']:g} s a response, {given['in_flight']} in flight."
    return "\n".join([*lines, "", note])


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} seconds"


PAGES = {
    "README.md": {"example": example},
    "docs/architecture.md": {"files": reference_parts.files},
    "docs/faults.md": {"lawful": lawful, "matrix": fault_matrix},
    "docs/reference/commands.md": {"commands": commands},
    "docs/reference/outcomes.md": {
        "exit-codes": exit_codes,
        "vendor-codes": reference_parts.vendor_codes,
        "verdicts": verdicts,
    },
    "docs/reference/settings.md": {"secrets": reference_parts.secrets, "settings": reference_parts.settings},
    "docs/reference/tables.md": {"state": reference_parts.state_tables, "tables": reference_parts.tables},
    "docs/scale.md": {"scale": scale},
}
"""The parts of each page, by name."""


def renewed(page: str, text: str) -> str:
    """Give the text of a page with every generated part as the code has it now."""
    for name, make in PAGES[page].items():
        begin, end = f"<!-- generated: {name} -->", "<!-- /generated -->"
        before, rest = text.split(begin, maxsplit=1)
        _, after = rest.split(end, maxsplit=1)
        text = f"{before}{begin}\n{make()}\n{end}{after}"
    return text


def main() -> int:
    """Renew the pages, or check them."""
    stale = 0
    for page in PAGES:
        path = ROOT / page
        current = path.read_text(encoding="utf-8")
        fresh = renewed(page, current)
        if "--check" not in sys.argv:
            path.write_text(fresh, encoding="utf-8")
        elif fresh != current:
            sys.stderr.write(f"{page} is stale: run docs/generate.py\n")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
