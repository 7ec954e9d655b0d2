"""Memory of the real process, whatever a server sends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from smspartner_pipelines.sandbox import Fault

STATUS = Path("/proc/self/status")
MEASURED = """
import sys
from pathlib import Path
from smspartner_pipelines.cli import run_command

code = run_command(sys.argv[1:])
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
print(int(peak.split()[1]) * 1024)
sys.exit(code)
"""
"""The command in a process that says at its end how much memory it held at most, in bytes (`ru_maxrss` would count what
the process that started it held)."""


@pytest.fixture
def peak_of(here):
    """Run the command in a process of its own; give its exit code and the most memory it held."""

    def run(sandbox, *arguments):
        settings = {
            "SMSPARTNER_API_KEY": "sandbox-key",
            "SMSPARTNER_BASE_URL": sandbox.url,
            "SMSPARTNER_VALIDATE": "contract",
        }
        ended = subprocess.run(
            [sys.executable, "-c", MEASURED, "run", *arguments],
            env={**os.environ, **settings},
            cwd=here,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return ended.returncode, int(ended.stdout)

    return run


@pytest.mark.skipif(not STATUS.exists(), reason="the peak of a process's memory is read from /proc")
def test_bodies_without_end_in_bounded_memory(start_sandbox, campaign, peak_of, rows):
    """Bodies of 300 MiB, without end, or that unpack to 100 MiB are refused in the memory that one page may take."""
    tags = ("endless", "huge", "gzip_bomb")
    sandbox = start_sandbox([campaign(tag) for tag in (*tags, "sound")], faults=[Fault(tag, tag) for tag in tags])
    code, usual = peak_of(sandbox, "sound", "--to", "sound")
    assert code == 0
    code, peak = peak_of(sandbox, *tags, "sound", "--to", "data", "--concurrency", "1")
    assert code == 3
    found = [(tag["tag"], tag["verdict"], tag["requests"], tag["rows_loaded"]) for tag in rows("data", "tag_runs")]
    assert found == [*((tag, "failed", 1, 0) for tag in sorted(tags)), ("sound", "complete", 1, 3)]
    too_large = "page 1: the body is larger than 67,108,864 bytes, which no page is (1 request)"
    assert [tag["reason"] for tag in rows("data", "tag_runs")] == [too_large] * 3 + ["all 3 rows on 1 page"]
    assert peak - usual < 150 * 1024 * 1024
