"""The page that says how it is built names every file, and no other."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGES = {
    "schemas/smspartner_schemas": "smspartner_schemas",
    "connector/smspartner": "smspartner",
    "pipelines/smspartner_pipelines": "smspartner_pipelines",
}
TABLES_OF_CONTENTS = {"__init__.py", "sandbox/__init__.py"}


def files_named(folder: str) -> set[str]:
    """Give the files that the page lists under a folder."""
    section = PAGE.split(f"### {folder}", maxsplit=1)[1].split("\n###", maxsplit=1)[0]
    return set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))


def files_installed(package: str) -> set[str]:
    """Give the modules of an installed package."""
    root = Path(str(importlib.import_module(package).__file__)).parent
    return {path.relative_to(root).as_posix() for path in root.rglob("*.py")} - TABLES_OF_CONTENTS


def test_every_file_has_its_one_job_on_the_page() -> None:
    """Whoever opens the page finds each module of the product, and what it is there for."""
    named = {folder: files_named(folder) for folder in PACKAGES}
    assert named == {folder: files_installed(package) for folder, package in PACKAGES.items()}


def test_no_module_is_a_drawer_for_everything() -> None:
    """Every module is named after what it does."""
    names = {Path(file).stem for package in PACKAGES.values() for file in files_installed(package)}
    assert names & {"utils", "helpers", "common", "misc"} == set()
