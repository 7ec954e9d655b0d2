"""Renews the generated parts of README.md from the code; with --check, only says whether they are stale.

A generated part stands between `<!-- generated: NAME -->` and `<!-- /generated -->`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from smspartner_pipelines.exit_codes import MEANINGS
from smspartner_pipelines.rehearsal import SANDBOX_KEY
from smspartner_pipelines.sandbox import Sandbox
from smspartner_schemas.contract import STATUSES, VERDICT_MEANINGS
from smspartner_schemas.describe import as_table

README = Path(__file__).resolve().parent.parent / "README.md"
_EXAMPLE = ("run", "promo-nov", "soldes-été", "never-sent", "--to", "data")


def columns() -> str:
    """Give the table of columns."""
    return as_table(STATUSES).strip()


def exit_codes() -> str:
    """Give the table of exit codes."""
    rows = [f"| {int(code)} | {meaning} |" for code, meaning in MEANINGS.items()]
    return "\n".join(["| exit code | meaning |", "|---|---|", *rows])


def verdicts() -> str:
    """Give the table of verdicts."""
    rows = [f"| `{verdict}` | {meaning} |" for verdict, meaning in VERDICT_MEANINGS.items()]
    return "\n".join(["| verdict | meaning |", "|---|---|", *rows])


def run_help() -> str:
    """Give the help text of the main command."""
    return f"```text\n{_smspartner('run', '--help').stdout.rstrip()}\n```"


def example() -> str:
    """Run the main job on the sandbox, and give what it prints, but for the run's random name."""
    with Sandbox() as sandbox, tempfile.TemporaryDirectory() as directory:
        environment = {"SMSPARTNER_API_KEY": SANDBOX_KEY, "SMSPARTNER_BASE_URL": sandbox.url}
        printed = _smspartner(*_EXAMPLE, directory=directory, environment=environment).stderr
    lines = [line.rstrip() for line in re.sub(r"run \d{8}T\d{6}Z-[0-9a-f]{8}", "run RUN_ID", printed).splitlines()]
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


PARTS = {
    "columns": columns,
    "example": example,
    "exit-codes": exit_codes,
    "help": run_help,
    "verdicts": verdicts,
}


def renewed(text: str) -> str:
    """Give the text with every generated part as the code has it now."""
    for name, make in PARTS.items():
        begin, end = f"<!-- generated: {name} -->", "<!-- /generated -->"
        before, rest = text.split(begin, maxsplit=1)
        _, after = rest.split(end, maxsplit=1)
        text = f"{before}{begin}\n{make()}\n{end}{after}"
    return text


def main() -> int:
    """Renew README.md, or check it."""
    current = README.read_text(encoding="utf-8")
    fresh = renewed(current)
    if "--check" not in sys.argv:
        README.write_text(fresh, encoding="utf-8")
    elif fresh != current:
        sys.stderr.write("README.md is stale: run docs/generate.py\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
