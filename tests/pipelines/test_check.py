"""Is everything ready for a run?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from smspartner.connection import Connection
from smspartner.errors import SettingsError
from smspartner_pipelines.check import check_all
from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.sandbox import Fault


def test_ready(start_sandbox: Any, connect: Any, tmp_path: Path) -> None:
    """With a good key and destinations everything is said to be fine, after one request."""
    sandbox, said = start_sandbox([]), []
    to = [str(tmp_path / "data"), str(tmp_path / "x.csv")]
    assert check_all(lambda: connect(sandbox), to, said.append) is ExitCode.OK
    assert [
        "ok    API key: accepted by the API",
        f"ok    {to[0]}: can be written; 0 tags are loaded",
        f"ok    {to[1]}: can be written",
    ] == said
    assert [record.path for record in sandbox.requests] == ["/v1/me"]
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize(
    ("fault", "code", "start", "advice"),
    [
        ("vendor_error_10", ExitCode.REFUSED, "FAIL  API key: the API answered code 10", "check the key in your"),
        ("server_error", ExitCode.NOT_DONE, "FAIL  API key: HTTP 500", "check network, proxy and --base-url"),
        ("html", ExitCode.NOT_DONE, "FAIL  API key: the body is a web page", "check network, proxy and --base-url"),
    ],
)
def test_the_key_is_not_accepted(  # noqa: PLR0917
    start_sandbox: Any, connect: Any, fault: str, code: ExitCode, start: str, advice: str
) -> None:
    """What is wrong with key or network is said with what to do about it, and gives the exit code."""
    said: list[str] = []
    sandbox = start_sandbox([], faults=[Fault(fault)])
    assert check_all(lambda: connect(sandbox), [], said.append) is code
    assert (said[0].startswith(start), advice in said[0], len(said)) == (True, True, 1)


def test_everything_is_checked(tmp_path: Path) -> None:
    """One failure does not hide the next; the first gives the exit code."""
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    said: list[str] = []

    def no_key() -> Connection:
        raise SettingsError("no API key: set one")

    assert check_all(no_key, [str(file), "nothing://x"], said.append) is ExitCode.WRONG_SETTINGS
    assert [line.startswith("FAIL  ") for line in said] == [True] * 3
    assert said[0] == "FAIL  API key: no API key: set one"
