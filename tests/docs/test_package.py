"""The package as an index shows it and as its users install it, made by the steps of the example of a release."""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import NamedTuple

import pytest
import uv
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RELEASE = yaml.safe_load((ROOT / "docs" / "examples" / "release.yml").read_text(encoding="utf-8"))
JOBS = RELEASE["jobs"]
STEPS = [step["run"] for step in JOBS["build"]["steps"] if "run" in step]
CHECKS = 'sudo env PATH="$PATH" .ci/run'


class Release(NamedTuple):
    """What a release is made of, and what its steps printed."""

    wheel: zipfile.ZipFile
    source_files: set[str]
    printed: str

    @property
    def metadata(self) -> Message:
        """What the wheel says of itself; the body is the README of the index."""
        name = next(name for name in self.wheel.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(self.wheel.read(name))


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """Prepare a release as CONTRIBUTING.md says, on a copy, and take its steps; its checks are all tests."""
    project = tmp_path_factory.mktemp("release") / "project"
    others = shutil.ignore_patterns(".*_cache", ".git", ".hypothesis", ".venv", "__pycache__", "build", "dist")
    shutil.copytree(ROOT, project, ignore=others)
    version = PROJECT["version"].removesuffix(".dev0")
    changelog = project / "CHANGELOG.md"
    dated = changelog.read_text(encoding="utf-8").replace("## [Unreleased]\n", f"## [{version}] - 2026-12-01\n")
    changelog.write_text(dated, encoding="utf-8")
    given = {
        "PATH": f"{Path(uv.find_uv_bin()).parent}:{os.environ['PATH']}",
        "GITHUB_REF_NAME": f"v{version}",
        "LC_ALL": "C.UTF-8",
        "UV_NO_SYNC": "1",  # installs nothing
    }
    printed = ""
    for step in (f"uv version {version}", *STEPS):
        if step != CHECKS:
            ended = subprocess.run(
                ["bash", "-e", "-c", step],
                cwd=project,
                env={**os.environ, **given},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                check=False,
            )
            assert ended.returncode == 0, f"{step}\nprints:\n{ended.stdout}"
            printed += ended.stdout
    (wheel,), (source,) = (project / "dist").glob("*.whl"), (project / "dist").glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as opened, tarfile.open(source) as sources:
        names = {name.partition("/")[2] for name in sources.getnames()}
        yield Release(opened, names, printed)


def tokens(text: str) -> Iterator[Token]:
    """Give what Markdown consists of, also within paragraphs."""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        yield from (token, *(token.children or ()))


def test_the_readme_of_the_index_stands_alone(release: Release) -> None:
    """It begins with the product and `uvx`, and has no comment, picture or link that leads nowhere on an index."""
    text = release.metadata.get_payload()
    assert isinstance(text, str)
    assert text.lstrip().startswith("# smspartner-connector\n")
    assert "```bash\nuvx smspartner-connector demo" in text
    found = list(tokens(text))
    assert [token.type for token in found if token.type in {"image", "html_block", "html_inline"}] == []
    links = [str(token.attrs["href"]) for token in found if token.type == "link_open"]
    assert [link for link in links if not link.startswith("https://")] == []
    named = set(re.findall(r"\(`([^`]+)`\)", text))
    assert len(named) > 20
    assert named - release.source_files == set(), "pages that the README names are not in the source distribution"


def test_metadata_says_where_it_runs(release: Release) -> None:
    """Every Python from the oldest one allowed, Linux, and types in each package, with their marks in the wheel."""
    classifiers = release.metadata.get_all("Classifier", [])
    pythons = [name.rpartition(" ")[2] for name in classifiers if re.fullmatch(r".+ :: 3\.\d+", name)]
    assert pythons == [f"3.{minor}" for minor in range(11, 15)]
    assert release.metadata["Requires-Python"] == ">=3.11"
    assert {"Operating System :: POSIX :: Linux", "Typing :: Typed"} <= set(classifiers)
    packages = {name.partition("/")[0] for name in release.wheel.namelist() if ".dist-info" not in name}
    assert packages == {"smspartner", "smspartner_pipelines", "smspartner_schemas"}
    assert {f"{package}/py.typed" for package in packages} <= set(release.wheel.namelist())


def test_a_type_checker_knows_the_names(tmp_path: Path) -> None:
    """It knows what the package has, and finds a name that it has not."""
    (tmp_path / "mine.py").write_text("import smspartner\nsmspartner.__version__.upper()\nsmspartner.read_status\n")
    command = [sys.executable, "-m", "mypy", "--cache-dir", os.devnull, "mine.py"]
    ended = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    (problem, _) = ended.stdout.splitlines()
    assert problem.startswith('mine.py:3: error: Module has no attribute "read_status"')


def test_a_release_is_built_checked_and_tried_before_it_is_published(release: Release) -> None:
    """The example builds both files, runs all checks, and starts the demo of the README.md from the wheel by `uvx`."""
    assert STEPS.count(CHECKS) == 1
    assert release.printed.count("PASSED") == 2
    assert "Open the campaign report:" in release.printed
    assert {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "SECURITY.md", ".ci/run"} <= release.source_files


def test_a_release_holds_no_secret() -> None:
    """One job alone may prove who it is, it runs nothing of ours, and every action stands at a version."""
    assert RELEASE["permissions"] == {}
    assert {name: job["permissions"] for name, job in JOBS.items()} == {
        "build": {"contents": "read"},
        "publish": {"id-token": "write"},
    }
    assert JOBS["publish"]["needs"] == "build"
    assert all("uses" in step for step in JOBS["publish"]["steps"])
    used = [step["uses"] for job in JOBS.values() for step in job["steps"] if "uses" in step]
    assert [action for action in used if not re.fullmatch(r"[\w/-]+@(release/)?v\d+(\.\d+\.\d+)?", action)] == []
    assert "secrets." not in (ROOT / "docs" / "examples" / "release.yml").read_text(encoding="utf-8")
