"""The pages at the top of the project: CHANGELOG.md, CONTRIBUTING.md and SECURITY.md say what is so."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import smspartner
from smspartner_schemas.contract import CONTRACT_VERSION

ROOT = Path(__file__).resolve().parents[2]
CHANGELOG, CONTRIBUTING = ((ROOT / name).read_text(encoding="utf-8") for name in ("CHANGELOG.md", "CONTRIBUTING.md"))
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
TO_WORK = CONTRIBUTING.partition("<!-- run by: ")[2].partition("```bash\n")[2].partition("```")[0]


def test_what_contributors_run_works() -> None:
    """Each command that CONTRIBUTING.md names for daily work is one that CI runs, or ends well here."""
    others = set(TO_WORK.splitlines()) - set((ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines())
    (line,) = others
    command = [sys.executable, "-m", *line.removeprefix(".venv/bin/").split()]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    assert " passed" in ended.stdout


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_every_path_is_there(page: str) -> None:
    """Each file and folder of ours that a page names in code is there."""
    text = (ROOT / page).read_text(encoding="utf-8")
    tops = r"(?:\.ci|connector|docs|pipelines|schemas|tests)"
    named = set(re.findall(rf"`(?:\.venv/bin/python )?({tops}(?:/[\w./-]+)+)`", text))
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def test_the_changelog_has_its_form() -> None:
    """Versions with dates, newest first, changes by kind as Keep a Changelog has them; this one, or Unreleased."""
    versions = re.findall(r"^## \[(.+)\](?: - (\d{4}-\d\d-\d\d))?$", CHANGELOG, re.MULTILINE)
    assert len(versions) == CHANGELOG.count("\n## ")
    assert [name for name, date in versions if not date] in ([], ["Unreleased"])
    assert [date for _, date in versions if date] == sorted((date for _, date in versions if date), reverse=True)
    assert set(re.findall(r"^### (.+)$", CHANGELOG, re.MULTILINE)) <= KINDS
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert ("Unreleased" if version.endswith(".dev0") else version) == versions[0][0]


def test_the_changelog_states_the_contract_that_holds() -> None:
    """The newest version names the contract version of the code, and the promise names what is there."""
    promise, _, newest = CHANGELOG.partition("\n## [")
    assert re.findall(r"Contract version (\d+)", newest)[0] == str(CONTRACT_VERSION)
    assert "`smspartner.__all__`" in promise
    assert smspartner.__all__
