"""What the README says is what the code does."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from smspartner_pipelines.cli import smspartner as group
from smspartner_pipelines.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def command(name: str) -> str:
    """Give the command that the README names."""
    match = re.search(rf"<!-- command: {name} -->\n```bash\n(.+)\n```", README)
    assert match is not None
    return match[1]


def test_generated_parts_are_fresh() -> None:
    """Columns, verdicts, exit codes, help and output in the README, and the faults, are what the code gives now."""
    checked = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_ci_runs_the_readmes_test_command() -> None:
    """The command that the README gives for the tests is the one that CI runs."""
    script = ROOT / ".ci" / "run"
    assert command("test") in script.read_text(encoding="utf-8").splitlines()


def test_both_commands_set_themselves_up() -> None:
    """Each of the two commands makes its own environment and installs into it."""
    start = "python3 -m venv .venv && .venv/bin/pip install --quiet "
    assert [command(name).startswith(start) for name in ("demo", "test")] == [True, True]


def test_every_option_the_readme_names_exists() -> None:
    """No option stands in the README's prose that the command line does not have."""
    help_text = "".join(
        subprocess.run(
            [Path(sys.executable).with_name("smspartner"), name, "--help"], capture_output=True, text=True, check=True
        ).stdout
        for name in sorted(group.commands)
    )
    prose = re.sub(r"<!-- (generated|command): .*?```\n", "", README, flags=re.DOTALL)
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", prose))
    assert sorted(option for option in named if option not in help_text) == []


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("README.md", "main_job"),
        ("README.md", "destinations"),
        ("README.md", "beside_peers"),
        ("README.md", "reading_back"),
        ("docs/scale.md", "doors"),
    ],
)
def test_the_benchmark_table_was_filled(page: str, name: str) -> None:
    """Each table of measurements holds figures, and stands beside the command that measures them."""
    text = (ROOT / page).read_text(encoding="utf-8")
    match = re.search(rf"<!-- benchmark: {name} -->\n(.+?)\n<!-- /benchmark -->", text, re.DOTALL)
    assert match is not None
    assert f"tests/benchmarks/{name}.py" in text
    assert len(re.findall(r"\| [0-9]", match[1])) >= 4


def test_python_example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The README's lines for a notebook run as they stand, and give the rows of the sandbox."""
    code = re.search(r"```python\n(import smspartner\n.+?)```", README, re.DOTALL)
    assert code is not None
    example = tmp_path / "example.py"
    example.write_text(code[1], encoding="utf-8")
    with Sandbox() as sandbox:
        monkeypatch.setenv("SMSPARTNER_API_KEY", "sandbox-key")
        monkeypatch.setenv("SMSPARTNER_BASE_URL", sandbox.url)
        names = runpy.run_path(str(example))
    assert len(names["df"]) == 6812
    assert (names["snapshot"].verdict, names["snapshot"].table.num_rows) == ("complete", 4812)
