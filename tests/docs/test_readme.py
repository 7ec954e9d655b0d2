"""What the README and the generated parts of the pages say is what the code does."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from faults import Campaign
from smspartner import Connection
from smspartner_pipelines.run import run
from smspartner_pipelines.sandbox import Sandbox
from smspartner_pipelines.settings import RunSettings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NOT_MEASURED = "not measured yet"


def command(name: str) -> str:
    """Give the command that the README names."""
    match = re.search(rf"<!-- command: {name} -->\n```bash\n(.+)\n```", README)
    assert match is not None
    return match[1]


def test_generated_parts_are_fresh() -> None:
    """Files, columns, verdicts, exit codes, help, output and faults on the pages are what the code gives now."""
    check = [sys.executable, ROOT / "docs" / "generate.py", "--check"]
    checked = subprocess.run(check, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_both_commands_set_themselves_up_and_ci_runs_the_second() -> None:
    """Each of the two commands makes its own environment; the one for the tests is the one that CI runs."""
    start = "python3 -m venv .venv && .venv/bin/pip install --quiet "
    assert [command(name).startswith(start) for name in ("demo", "test")] == [True, True]
    for page in (".ci/run", "CONTRIBUTING.md"):
        assert command("test") in (ROOT / page).read_text(encoding="utf-8").splitlines()
    assert len(README.splitlines()) <= 150


def test_every_option_on_the_pages_exists() -> None:
    """No option of ours stands on a page that the command line does not have."""
    known = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    files = {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")}
    files -= {ROOT / "docs" / "benchmarks.md", ROOT / "CHANGELOG.md"}  # others' options, and those that were removed
    pages = [file.read_text(encoding="utf-8") for file in files]
    named = {option for page in pages for option in re.findall(r"`(--[a-z][a-z-]+)[ `]", page)}
    assert sorted(option for option in named if not re.search(rf"{option}(?![\w-])", known)) == []


@pytest.mark.parametrize("name", ["main_job", "growth", "beside_peers"])
def test_figures_come_from_a_benchmark(name: str) -> None:
    """Each table of measurements holds figures, or says that it has none, under the command that measures them."""
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    match = re.search(rf"<!-- benchmark: {name} -->\n(.+?)\n<!-- /benchmark -->", text, re.DOTALL)
    assert match is not None
    assert f"tests/benchmarks/{name}.py" in text
    assert match[1] == NOT_MEASURED or len(re.findall(r"\| [0-9]", match[1])) >= 4


def test_python_example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The README's lines for a notebook run as they stand, and give the rows of the sandbox."""
    with Sandbox() as sandbox:
        monkeypatch.setenv("SMSPARTNER_API_KEY", "sandbox-key")
        monkeypatch.setenv("SMSPARTNER_BASE_URL", sandbox.url)
        names = run_example("import smspartner\n", tmp_path)
    assert len(names["df"]) == 6812
    assert (names["snapshot"].verdict, names["snapshot"].table.num_rows) == ("complete", 4812)


def test_reading_csv_back(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    start_sandbox: Callable[..., Sandbox],
    connect: Callable[..., Connection],
) -> None:
    """The README's `read_csv` gives what the dataset holds, also for tags that look like numbers."""
    monkeypatch.chdir(tmp_path)
    sandbox = start_sandbox([Campaign("007", 30, sent_at=1_700_000_000), Campaign("42", 5, sent_at=1_700_000_000)])
    to = ("data/", "statuses.csv")
    run(RunSettings(tags=("007", "42"), connection=connect(sandbox), to=to, validate="contract"))
    given = run_example("import duckdb\n", tmp_path)["statuses"].sort_values("tag", kind="stable", ignore_index=True)
    expected = pd.read_parquet("data/statuses")
    assert set(given["tag"]) == {"007", "42"}
    pd.testing.assert_frame_equal(
        given[list(expected)], expected, check_dtype=False, check_categorical=False, check_index_type=False
    )
    assert [given[name].dtype for name in ("occurrence", "stop_sms")] == ["int32", "bool"]


def run_example(begins: str, folder: Path) -> dict[str, Any]:
    """Run the README's block of Python that begins so, and give its variables."""
    code = re.search(rf"```python\n({begins}.+?)```", README, re.DOTALL)
    assert code is not None
    (example := folder / "example.py").write_text(code[1], encoding="utf-8")
    return runpy.run_path(str(example))
