"""The process of the command, and its standard streams."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("smspartner"))


def run(redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a shell that redirects its streams."""
    shell = ["sh", "-c", f'exec "$0" "$@" {redirection}', COMMAND, *arguments]
    return subprocess.run(shell, check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("redirection", ["", "2>/dev/full", "2>&-", ">&-", "<&- >&- 2>&-"])
def test_exit_code_survives_the_streams(redirection: str) -> None:
    """Whatever becomes of the streams, the exit code tells how the command ended."""
    assert (run(redirection, "schema").returncode, run(redirection, "no-such").returncode) == (0, 2)


def test_full_output() -> None:
    """An output that takes nothing is told in words."""
    ended = run(">/dev/full", "schema")
    told = "error: writing to standard output failed: the disk is full; free some space and run again\n"
    assert (ended.returncode, ended.stderr) == (1, told)
