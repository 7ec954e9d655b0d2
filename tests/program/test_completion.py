"""Completion in real shells: what is typed in part is completed, and the completed command runs."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
SETUP = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
PREPARE = {
    "bash": "",
    "zsh": "autoload -Uz compinit; compinit -u -D; ",
}


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request: pytest.FixtureRequest) -> str:
    """Name each shell."""
    if not shutil.which(request.param):
        pytest.skip(f"there is no {request.param} on this machine")
    return request.param


def test_script_is_printed(smspartner: Callable[..., Any], shell: str) -> None:
    """`smspartner completion SHELL` prints a script that the shell can read, and needs no settings."""
    ended = smspartner(None, "completion", shell, SMSPARTNER_API_KEY=None)
    assert (ended.returncode, ended.stderr) == (0, "")
    subprocess.run([shell, "-n", "/dev/stdin"], input=ended.stdout, text=True, check=True)


@pytest.fixture
def keys(here: Path) -> Callable[[str, str], None]:
    """Type keys into an interactive shell that has read our script, and wait until it ends."""

    def press(shell: str, typed: str) -> None:
        # The prompt is put together, so that it is not seen while its definition is echoed.
        start = f"{PREPARE[shell]}eval \"$(smspartner completion {shell})\"; PS1='rea''dy: '\r"
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            SETUP[shell],
            **dict.fromkeys(("stdin", "stdout", "stderr"), theirs),
            env={"PATH": PATH, "HOME": str(here), "TERM": "dumb" if shell == "bash" else "vt100"},
            start_new_session=True,
        ) as process:
            os.close(theirs)
            os.write(ours, start.encode())
            _read_until(ours, b"ready: ")
            os.write(ours, typed.encode() + b"\rexit\r")
            _read_until(ours, None)
            process.wait(timeout=30)
        os.close(ours)

    return press


def _read_until(descriptor: int, sign: bytes | None) -> None:
    """Read until a sign comes, or to the end."""
    seen = b""
    while sign is None or sign not in seen:
        try:
            some = os.read(descriptor, 1 << 16)
        except OSError:  # so a terminal says that nobody is there any more
            some = b""
        if not some:
            assert sign is None, seen
            return
        seen += some


@pytest.mark.parametrize("shell", ["bash", "zsh"], indirect=True)
def test_a_command_typed_in_part_is_completed_and_runs(keys: Callable[..., None], shell: str, here: Path) -> None:
    """Commands, options, values and paths are completed by the tabulator, as any shell does it."""
    (here / "given").mkdir()
    (here / "given" / "settings.toml").touch()
    keys(shell, "smspartner sch\t--form\tsq\t--dia\tduck\t> sql.txt; smspartner che\t--conf\tgiv\tset\t > check.txt")
    assert "CREATE TABLE" in (here / "sql.txt").read_text(encoding="utf-8")
    assert "no API key" in (here / "check.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("shell", ["fish"], indirect=True)
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("smspartner comple", {"completion"}),
        ("smspartner run --refr", {"--refresh"}),
        ("smspartner run --refresh ", {"auto", "all"}),
        ("smspartner run --to du", {"duckdb:"}),
        ("smspartner run --to gi", {"given/"}),
        ("smspartner tags gi", {"given/"}),
    ],
)
def test_fish_is_told_what_may_follow(here: Path, shell: str, typed: str, offered: set[str]) -> None:
    """Fish, asked what may follow, names commands, options, values, paths, and what URIs begin with."""
    (here / "given").mkdir()
    ended = subprocess.run(
        [shell, "--no-config", "-c", 'smspartner completion fish | source; complete --do-complete "$argv[1]"', typed],
        env={"PATH": PATH, "HOME": str(here)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {line.partition("\t")[0] for line in ended.stdout.splitlines()} == offered
