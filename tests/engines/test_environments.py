"""The product where it has to live: beside other packages, at the lowest versions it allows, on the newest Python."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faults import Campaign, HostileServer

PROJECT = Path(__file__).resolve().parents[2]
UV = [sys.executable, "-m", "uv"]
ROW = {"phoneNumber": "+33639980001", "status": "Delivered", "stopSMS": False, "date": "1517989111"}
VERSIONS = """
import json
from importlib.metadata import distributions
print(json.dumps({one.name.lower().replace("_", "-"): one.version for one in distributions()}))
"""
FRAME = """
import smspartner
frame = smspartner.read_statuses(["promo"])
print(len(frame), frame["tag"].dtype, frame["stop_sms"].dtype, frame["status_at"].dtype)
"""


@pytest.fixture
def versions(programs: Callable[[str], Path]) -> Callable[[str], dict[str, str]]:
    """Give the versions of all packages of an environment."""

    def ask(name: str) -> dict[str, str]:
        asked = subprocess.run([programs(name) / "python", "-c", VERSIONS], capture_output=True, text=True, check=True)
        found: dict[str, str] = json.loads(asked.stdout)
        return found

    return ask


@pytest.mark.parametrize("name", ["pandas2", "boto3", "airflow", "lowest", "newest"])
def test_the_main_job(
    programs: Callable[[str], Path],
    start_sandbox: Callable[..., HostileServer],
    bucket: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """Demo, run, validate and report of the installed command, and the library's frame; with boto3, an AWS profile."""
    server = start_sandbox([Campaign.of_rows("promo", [ROW, ROW])])
    monkeypatch.setenv("SMSPARTNER_BASE_URL", server.url)
    monkeypatch.setenv("SMSPARTNER_API_KEY", "sandbox-key")

    def run(program: str, *arguments: str) -> str:
        ended = subprocess.run(
            [programs(name) / program, *arguments], cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    if name == "boto3":
        (tmp_path / "credentials").write_text("[team]\naws_access_key_id = A\naws_secret_access_key = B\n")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
        monkeypatch.setenv("AWS_PROFILE", "team")
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    to = f"{bucket.uri}/data" if name == "boto3" else "data"
    run("smspartner", "demo", "shop")
    report = json.loads(run("smspartner", "run", "promo", "--to", to, "--json"))
    assert (report["totals"]["rows_loaded"], report["exit_code"]) == (2, 0)
    run("smspartner", "validate", to)
    run("smspartner", "report", to, "-o", "report.html")
    assert "promo" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert run("python", "-c", FRAME) == "2 category bool datetime64[us, UTC]\n"


def test_the_lowest_versions_are_those_of_the_bounds(versions: Callable[[str], dict[str, str]]) -> None:
    """In the environment `lowest`, every package that the product names has the version of its lower bound."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [
        *project["dependencies"],
        *(one for extra in ("duckdb", "postgres", "delta", "s3", "excel") for one in extras[extra]),
    ]
    bounds = {name.lower(): bound for one in wanted for name, bound in re.findall(r"^([\w-]+)>=([\d.]+)", one)}
    installed = versions("lowest")
    assert len(bounds) == len(wanted)
    assert [name for name, bound in bounds.items() if not f"{installed[name]}.".startswith(f"{bound}.")] == []


def test_both_pandas_and_other_pythons_are_there(versions: Callable[[str], dict[str, str]]) -> None:
    """The environments are what their names say."""
    assert versions("pandas2")["pandas"].startswith("2.")
    assert int(versions("newest")["pandas"].partition(".")[0]) >= 3


@pytest.mark.parametrize("platform", ["x86_64-manylinux_2_28", "aarch64-apple-darwin", "x86_64-pc-windows-msvc"])
def test_python_3_14_needs_no_compiler(platform: str, tmp_path: Path) -> None:
    """On Python 3.14, everything with all extras comes as wheels."""
    resolve = [*UV, "pip", "compile", "--quiet", "--only-binary=:all:", "--extra=all", "--python-version=3.14"]
    found = tmp_path / "found.txt"
    ended = subprocess.run(
        [*resolve, f"--python-platform={platform}", f"--output-file={found}", PROJECT / "pyproject.toml"],
        capture_output=True,
        text=True,
        check=False,
    )
    if "error sending request" in ended.stderr:
        pytest.skip("needs the package index")
    assert ended.returncode == 0, ended.stderr
    assert "pyarrow==" in found.read_text(encoding="utf-8")


def test_the_lock_is_fresh() -> None:
    """`uv.lock` has what `pyproject.toml` asks for, from the public index alone; if not, run `uv lock`."""
    check = [*UV, "lock", "--check", "--offline", "--project", PROJECT]
    ended = subprocess.run(check, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    lock = tomllib.loads((PROJECT / "uv.lock").read_text(encoding="utf-8"))
    sources = {json.dumps(package["source"]) for package in lock["package"]}
    assert sources == {'{"editable": "."}', '{"registry": "https://pypi.org/simple"}'}
