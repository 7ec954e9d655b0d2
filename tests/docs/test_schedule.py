"""The files for systemd, cron and containers say what systemd, a shell and the command understand."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import uv
from smspartner_pipelines.sandbox import Sandbox
from smspartner_schemas.contract import TRY_AGAIN, ExitCode

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
COMMAND = Path(sys.executable).with_name("smspartner")
INSTALLED = "/opt/smspartner/bin/smspartner"
SERVICE, CRONTAB, CONTAINER = (
    (EXAMPLES / name).read_text(encoding="utf-8") for name in ("smspartner.service", "crontab", "Containerfile")
)
SETTINGS = dict(re.findall(r"^(\w+)=(.*)$", SERVICE, re.MULTILINE))
CRON_LINE = next(line for line in CRONTAB.splitlines() if line[0].isdigit()).split(maxsplit=5)[5]


def here(text: str, folder: Path) -> str:
    """Put our paths where the examples have theirs."""
    for path in ("/etc/smspartner", "/var/lib/smspartner", "/var/log", "/run/secrets"):
        text = text.replace(path, str(folder))
    return text.replace(INSTALLED, str(COMMAND)).replace(" /data", f" {folder}/data")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with key and tags."""
    (tmp_path / "api-key").write_text("sandbox-key\n", encoding="utf-8")
    (tmp_path / "tags.txt").write_text("documented\n", encoding="utf-8")
    return tmp_path


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say about service and timer."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze on this machine (package systemd)")
    units = [tmp_path / name for name in ("smspartner.service", "smspartner.timer")]
    for unit in units:
        unit.write_text(here((EXAMPLES / unit.name).read_text(encoding="utf-8"), tmp_path), encoding="utf-8")
    command = ["systemd-analyze", "verify", "--man=no", *map(str, units)]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert [line for line in verified.stderr.splitlines() if "smspartner" in line] == []
    assert verified.returncode == 0


def test_the_service_knows_the_exit_codes() -> None:
    """Wrong settings and a refused key are not tried again, quarantine is no failure, all else is tried again."""
    prevented = {int(code) for code in SETTINGS["RestartPreventExitStatus"].split()}
    assert prevented == {ExitCode.WRONG_SETTINGS, ExitCode.REFUSED}
    assert {int(code) for code in SETTINGS["SuccessExitStatus"].split()} == {ExitCode.ROWS_IN_QUARANTINE}


def test_recipes_try_again_where_the_contract_says_so() -> None:
    """Page, flow and workflow name the exit codes after which another try may help, and no others."""
    said = [
        re.findall(r"try again after ([\d, and]+);", (ROOT / "docs" / "schedule.md").read_text(encoding="utf-8")),
        re.findall(r"TRY_AGAIN = \{(.+)\}", (EXAMPLES / "prefect_flow.py").read_text(encoding="utf-8")),
        re.findall(r"([\d |]+)\) sleep", (EXAMPLES / "github-schedule.yml").read_text(encoding="utf-8")),
    ]
    assert [{int(code) for code in re.findall(r"\d+", found)} for (found,) in said] == [TRY_AGAIN] * 3


@pytest.mark.parametrize("example", ["systemd", "cron", "container"])
def test_every_command_line_runs(example: str, folder: Path, start_sandbox: Callable[..., Sandbox]) -> None:
    """What each example starts loads the tags, under /bin/sh, with no variables but those the example sets."""
    arguments = json.loads(re.findall(r"^CMD (\[.+\])$", CONTAINER, re.MULTILINE)[0])
    line = {"systemd": SETTINGS["ExecStart"], "cron": CRON_LINE, "container": shlex.join([INSTALLED, *arguments])}[
        example
    ]
    given = [f"SMSPARTNER_API_KEY_FILE={folder / 'api-key'}", f"SMSPARTNER_BASE_URL={start_sandbox().url}"]
    if example == "cron":
        given += [here(one, folder) for one in CRONTAB.splitlines() if re.match(r"\w+=", one)]
    command = ["env", "-i", "PATH=/usr/bin:/bin", "HOME=/nonexistent", *given, "/bin/sh", "-c", here(line, folder)]
    ended = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, timeout=60)
    log = (folder / "smspartner.log").read_text(encoding="utf-8") if example == "cron" else ended.stderr
    assert (ended.returncode, ended.stdout) == (0, ""), log
    assert "2 rows loaded into" in log
    assert len(list((folder / "data" / "statuses").glob("*.parquet"))) == 1


def test_the_container_runs_the_installed_command_as_nobody_special() -> None:
    """The image stands on a release of Python, starts the command, has a user without rights, and holds no secret."""
    assert re.findall(r"^FROM (.+/python:3\.\d+\.\d+-slim-\w+|base)\b", CONTAINER, re.MULTILINE)[1:] == ["base", "base"]
    assert json.loads(re.findall(r"^ENTRYPOINT (.+)$", CONTAINER, re.MULTILINE)[0]) == [INSTALLED]
    assert re.findall(r"^USER (.+)$", CONTAINER, re.MULTILINE) == ["10001"]
    assert "SMSPARTNER_API_KEY=" not in CONTAINER


def test_the_image_can_be_built(tmp_path: Path) -> None:
    """What it copies is enough to install the command with its extras, and the demo that checks the image works."""
    (tmp_path / "src").mkdir()
    for names, target in re.findall(r"^COPY (\w.+) /(src/\S*)$", CONTAINER, re.MULTILINE):
        subprocess.run(["cp", "-r", *names.split(), tmp_path / target], cwd=ROOT, check=True)
    steps = re.findall(r"^RUN (.+?[^\\])$", CONTAINER, re.MULTILINE | re.DOTALL)
    installs, checks = (step for step in steps if "/opt/smspartner" in step)  # the others need root
    for theirs, ours in (
        ("/usr/local/bin/python", sys.executable),
        ("/opt/", f"{tmp_path}/"),
        ('"/src', f'"{tmp_path}/src'),
    ):
        installs, checks = installs.replace(theirs, ours), checks.replace(theirs, ours)
    given = {**os.environ, "PATH": f"{Path(uv.find_uv_bin()).parent}:{os.environ['PATH']}"}
    for step in (installs.replace(" --no-cache", ""), checks):
        ended = subprocess.run(["sh", "-c", step], env=given, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Open the campaign report:" in ended.stdout + ended.stderr


def test_every_environment_variable_exists() -> None:
    """Each variable of ours on a page or in an example is one that is read."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *filter(Path.is_file, EXAMPLES.rglob("*"))]
    named = set(re.findall(r"\bSMSPARTNER_[A-Z_]*[A-Z]\b", "".join(page.read_text(encoding="utf-8") for page in pages)))
    settings = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    assert sorted(name for name in named if f"| `{name}` |" not in settings) == []
