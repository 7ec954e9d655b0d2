"""`smspartner check --leaks`: finds what leaks under the user's own settings, and says where, never what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

KINDS = (
    *("standard output", "log at debug level and standard error", "exceptions, with the variables of their frames"),
    *("run reports", "tag_runs", "tables", "exports", "names of files"),
)
TRACER = """
import http.client, os
put = http.client.HTTPConnection.putrequest
def traced(self, method, url, *more, **named):
    os.write(2, f"trace: {method} {url}\\n".encode())
    return put(self, method, url, *more, **named)
http.client.HTTPConnection.putrequest = traced
"""
"""A tool of the user's that tells every URL, below anything that Python could redact."""
SUITE = """{"name": "mine", "expectations": [{"type": "expect_column_values_to_be_in_set",
  "kwargs": {"column": "phone_number", "value_set": ["x"]}}]}"""


def test_nothing_is_found(start: Any, leaks: Any, here: Path) -> None:
    """Under sound settings each kind of output is searched and found clean; nothing is left behind."""
    key = leaks.keys[1]
    (here / "mine.json").write_text(SUITE)
    (here / "settings.toml").write_text('expectations = "mine.json"\nphone_numbers = "masked"\nto = ["data"]\n')
    process = start("http://127.0.0.1:9/v1", key, "check", "--leaks", "--config", "settings.toml", "-vv")
    out, err = process.communicate(timeout=100)
    lines = out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [f"ok    leaks, {kind}" for kind in KINDS]
    assert all("searched" in line and "nothing found" in line for line in lines)
    assert (process.returncode, leaks.of_keys({"out": out, "err": err})) == (0, [])
    assert sorted(path.name for path in here.iterdir()) == ["mine.json", "settings.toml"]


def test_a_leak_is_found(start: Any, leaks: Any, here: Path) -> None:
    """Where a tool of the user's writes URLs to standard error, the self-test fails, and says where, not what."""
    (here / "sitecustomize.py").write_text(TRACER)
    key = leaks.keys[1]
    process = start("http://127.0.0.1:9/v1", key, "check", "--leaks", PYTHONPATH=str(here))
    out, err = process.communicate(timeout=100)
    found = [line for line in out.splitlines() if line.startswith("FAIL")]
    assert process.returncode == 1
    assert len(found) == 1
    assert found[0].startswith(
        "FAIL  leaks, log at debug level and standard error: the API key stands in run echo_request"
    )
    assert leaks.of_keys({"out": out, "err": err}) == []


@pytest.mark.parametrize(
    ("key", "suite", "code", "told"),
    [
        ("k3y", "mine.json", 1, "FAIL  leaks: so short a key can't be told from ordinary text"),
        ("a-key-in-the-suite", "mine.json", 2, "error: the suite mine.json holds the API key or another secret"),
        ("a-key-elsewhere", "none.json", 2, "error: can't read the suite none.json"),
    ],
)
def test_what_the_user_put_there(command: Any, here: Path, key: str, suite: str, code: int, told: str) -> None:  # noqa: PLR0917
    """A key that can't be guarded, or that stands in a file of the user's, is told before anything is run."""
    (here / "mine.json").write_text('{"name": "a-key-in-the-suite", "expectations": []}')
    ended = command("http://127.0.0.1:9/v1", key, "check", "--leaks", "--expectations", suite)
    assert (ended.code, told in ended.out + ended.err) == (code, True)
