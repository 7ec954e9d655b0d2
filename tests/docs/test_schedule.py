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
from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.options import PREFIX
from smspartner_pipelines.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
COMMAND = Path(sys.executable).with_name("smspartner")
INSTALLED = "/opt/smspartner/bin/smspartner"


def text_of(name: str) -> str:
    """Read an example."""
    return (EXAMPLES / name).read_text(encoding="utf-8")


def setting(name: str) -> str:
    """Give a setting of the service."""
    return dict(re.findall(r"^(\w+)=(.*)$", text_of("smspartner.service"), re.MULTILINE))[name]


def command_lines() -> dict[str, list[str]]:
    """Give the arguments of the command, as each example passes them."""
    cron = next(line for line in text_of("crontab").splitlines() if line[0].isdigit())
    container = re.search(r"^CMD (\[.+\])$", text_of("Containerfile"), re.MULTILINE)
    assert container is not None
    return {
        "systemd": shlex.split(setting("ExecStart"))[1:],
        "cron": shlex.split(cron.split(maxsplit=5)[5].partition(" 2>>")[0])[1:],
        "container": json.loads(container[1]),
    }


def here(text: str, folder: Path) -> str:
    """Put our places in the place of those of the examples."""
    for place in ("/etc/smspartner", "/var/lib/smspartner", "/var/log", "/run/secrets"):
        text = text.replace(place, str(folder))
    return text.replace(INSTALLED, str(COMMAND))


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """A folder with key and tags."""
    (tmp_path / "api-key").write_text("sandbox-key\n", encoding="utf-8")
    (tmp_path / "tags.txt").write_text("documented\n", encoding="utf-8")
    return tmp_path


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say about service and timer."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze on this machine (package systemd)")
    for name in ("smspartner.service", "smspartner.timer"):
        (tmp_path / name).write_text(here(text_of(name), tmp_path), encoding="utf-8")
    units = [tmp_path / "smspartner.service", tmp_path / "smspartner.timer"]
    command = ["systemd-analyze", "verify", "--man=no", *map(str, units)]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert [line for line in verified.stderr.splitlines() if "smspartner" in line] == []
    assert verified.returncode == 0


def test_the_service_knows_the_exit_codes() -> None:
    """Wrong settings and a refused key are not tried again, doubted rows are no failure, all else is tried again."""
    prevented = {int(code) for code in setting("RestartPreventExitStatus").split()}
    assert prevented == {ExitCode.WRONG_SETTINGS, ExitCode.REFUSED}
    assert {int(code) for code in setting("SuccessExitStatus").split()} == {ExitCode.ROWS_IN_QUARANTINE}


@pytest.mark.parametrize("example", ["systemd", "cron", "container"])
def test_every_command_line_runs(example: str, places: Path, start_sandbox: Callable[..., Sandbox]) -> None:
    """The command that each example starts loads the tags, in an environment that holds nothing but the key's file."""
    arguments = [here(argument, places) for argument in command_lines()[example]]
    environment = {f"{PREFIX}API_KEY_FILE": str(places / "api-key"), f"{PREFIX}BASE_URL": start_sandbox().url}
    ended = subprocess.run(
        [COMMAND, *[str(places / "data") if argument == "/data" else argument for argument in arguments]],
        env=environment,
        cwd=places,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    assert len(list((places / "data" / "statuses").glob("*.parquet"))) == 1


def test_the_cron_line_runs_as_cron_runs_it(places: Path, start_sandbox: Callable[..., Sandbox]) -> None:
    """The whole line works under `env -i` and /bin/sh, and standard error is in the log."""
    text = here(text_of("crontab"), places)
    given = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    line = next(line for line in text.splitlines() if line[0].isdigit()).split(maxsplit=5)[5]
    variables = [f"{name}={value}" for name, value in given.items()] + [f"{PREFIX}BASE_URL={start_sandbox().url}"]
    command = ["env", "-i", "PATH=/usr/bin:/bin", "HOME=/nonexistent", *variables, given["SHELL"], "-c", line]
    ended = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert "2 rows loaded into" in (places / "smspartner.log").read_text(encoding="utf-8")


def test_the_container_runs_the_installed_command_as_nobody_special() -> None:
    """The image installs extras that exist, starts the command, has a user without rights, and holds no secret."""
    text = text_of("Containerfile")
    assert json.loads(re.findall(r"^ENTRYPOINT (.+)$", text, re.MULTILINE)[0]) == [INSTALLED]
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001"]
    extras = re.findall(r"/src\[(.+)\]", text)[0].split(",")
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert [extra for extra in extras if f"\n{extra} = [" not in declared] == []
    assert f"{PREFIX}API_KEY=" not in text
    script = re.findall(r"^RUN (.+?[^\\])$", text, re.MULTILINE | re.DOTALL)[0]
    assert subprocess.run(["sh", "-n", "-c", script], check=False).returncode == 0


def test_every_environment_variable_exists() -> None:
    """Each variable that an example or the page names is one that the command reads."""
    named = "".join(path.read_text(encoding="utf-8") for path in [*EXAMPLES.iterdir(), ROOT / "docs" / "schedule.md"])
    known = subprocess.run([COMMAND, "run", "--help"], capture_output=True, text=True, check=True).stdout
    for variable in set(re.findall(rf"{PREFIX}([A-Z_]+)", named)) - {"API_KEY"}:
        assert f"--{variable.lower().replace('_', '-')}" in known


def test_a_run_beside_another_ends_at_once(places: Path, start_sandbox: Callable[..., Sandbox]) -> None:
    """Without `flock`, a second run on a destination that is held ends with exit code 1 and says why."""
    environment = {**os.environ, f"{PREFIX}API_KEY": "sandbox-key"}
    arguments = [COMMAND, "run", "documented", "--to", places / "data", "--base-url"]
    slow = start_sandbox(latency=30.0)
    first = subprocess.Popen(
        [*arguments, slow.url, "--log-level", "info"], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        assert first.stderr is not None
        assert "reading 1 tags" in first.stderr.readline()
        second = subprocess.run(
            [*arguments, start_sandbox().url], env=environment, capture_output=True, text=True, check=False, timeout=60
        )
    finally:
        first.kill()
        first.communicate()
    assert second.returncode == ExitCode.NOT_DONE
    assert "another run" in second.stderr
