"""Is everything ready for a run, and what is to be done?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from faults import Fault
from smspartner.connection import Connection
from smspartner.errors import SettingsError
from smspartner.redaction import Secret
from smspartner_pipelines.check import check_all, check_versions, exit_code_of
from smspartner_pipelines.exit_codes import ExitCode


def lines(findings: Any) -> list[str]:
    """Give the lines."""
    return [finding.line() for finding in findings]


def check(connect: Any, to: Any = (), unknown: Any = None, key_file: str | None = None) -> list[Any]:
    """Check everything."""
    return list(check_all(connect, list(map(str, to)), unknown or {}, key_file))


def test_ready(start_sandbox: Any, connect: Any, tmp_path: Path) -> None:
    """With a good key and destinations everything is said to be fine, after one request, and nothing is written."""
    sandbox = start_sandbox([])
    to = [tmp_path / "data", tmp_path / "x.csv"]
    found = check(lambda: connect(sandbox), to)
    assert lines(found)[:-1] == [
        "ok    API key: accepted by the API",
        "ok    proxy: none: the API is on this machine, which is never reached through a proxy",
        f"ok    {to[0]}: can be written; nothing is loaded yet",
        f"ok    {to[1]}: can be written",
    ]
    assert re.match(r"ok    versions: smspartner-connector \S+, great-expectations .*, Python 3", lines(found)[-1])
    assert (exit_code_of(found), [one.path for one in sandbox.requests]) == (ExitCode.OK, ["/v1/me"])
    assert list(tmp_path.rglob("*.csv")) == []


@pytest.mark.parametrize(
    ("fault", "code", "start"),
    [
        ("vendor_error_10", ExitCode.REFUSED, "FAIL  API key: the API answered code 10"),
        ("server_error", ExitCode.TAGS_NOT_COMPLETE, "FAIL  API key: HTTP 500"),
        ("html", ExitCode.TAGS_NOT_COMPLETE, "FAIL  API key: the body is a web page"),
    ],
)
def test_the_key_is_not_accepted(start_sandbox: Any, connect: Any, fault: str, code: ExitCode, start: str) -> None:
    """What is wrong with key or network is said with what to do about it, and gives the code a run would end with."""
    found = check(lambda: connect(start_sandbox([], faults=[Fault(fault)])))
    assert found[0].line().startswith(start)
    assert "; " in found[0].text
    assert exit_code_of(found) is code


@pytest.mark.parametrize(
    ("to", "refused", "code"),
    [
        (["file"], False, ExitCode.WRONG_SETTINGS),
        (["file", "data"], False, ExitCode.NOT_DONE),
        (["file", "file/x"], True, ExitCode.NOT_DONE),
        (["file"], True, ExitCode.WRONG_SETTINGS),
        (["file", "data"], True, ExitCode.REFUSED),
    ],
)
def test_code_of_a_run(
    start_sandbox: Any,
    connect: Any,
    tmp_path: Path,
    to: list[str],
    refused: bool,  # noqa: FBT001
    code: ExitCode,
) -> None:
    """One failure does not hide the next, and the code is a run's: without a destination it requests nothing."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    sandbox = start_sandbox([], faults=[Fault("vendor_error_10")] if refused else [])
    found = check(lambda: connect(sandbox), [tmp_path / name for name in to])
    assert [one.level for one in found if one.destination] == ["ok" if name == "data" else "FAIL" for name in to]
    assert exit_code_of(found) is code


def test_no_key(tmp_path: Path) -> None:
    """Without a key everything else is checked all the same."""

    def no_key() -> Connection:
        raise SettingsError("no API key", remedy="set one")

    found = check(no_key, [tmp_path / "data"])
    assert [finding.level for finding in found] == ["FAIL", "ok", "ok"]
    assert (found[0].line(), exit_code_of(found)) == ("FAIL  API key: no API key; set one", ExitCode.WRONG_SETTINGS)


def test_key_file_that_others_can_read(start_sandbox: Any, connect: Any, tmp_path: Path) -> None:
    """A key file that is open to others is warned of, and neither its name nor its content is shown."""
    file = tmp_path / "key"
    file.write_text("sandbox-key", encoding="utf-8")
    sandbox = start_sandbox([])
    found = []
    for mode in (0o644, 0o600):
        file.chmod(mode)
        found.append(lines(check(lambda: connect(sandbox), key_file=str(file)))[0])
    assert found == [
        "warn  API key file: it is open to others (mode 644); chmod 600 the file",
        "ok    API key: accepted by the API",
    ]


def test_proxy_of_another_host(start_sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy to another host is named without its password; a proxy for this machine is never used."""
    sandbox = start_sandbox([])
    gone = sandbox.url.removeprefix("http://").removesuffix("/v1")
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://someone:proxy-password@{gone}")
    found = []
    for url in ("https://api.smspartner.invalid/v1", sandbox.url):
        connection = Connection(api_key=Secret("sandbox-key"), base_url=url, timeout=5, retries=0)
        found.append(lines(check(lambda connection=connection: connection)))
    assert found[0][1] == f"ok    proxy: {gone}, as the environment says; name the API's host in NO_PROXY to go without"
    assert found[1][:2] == [
        "ok    API key: accepted by the API",
        "ok    proxy: none: the API is on this machine, which is never reached through a proxy",
    ]
    assert "proxy-password" not in str(found)


def test_variables(start_sandbox: Any, connect: Any) -> None:
    """A variable that no option reads is warned of by its name, with the one that may have been meant."""
    unknown = {"SMSPARTNER_CONCURENCY": "SMSPARTNER_CONCURRENCY", "SMSPARTNER_OF_NOBODY": None}
    sandbox = start_sandbox([])
    assert lines(check(lambda: connect(sandbox), unknown=unknown))[:2] == [
        "warn  SMSPARTNER_CONCURENCY: no option reads this variable; write SMSPARTNER_CONCURRENCY if that was meant",
        "warn  SMSPARTNER_OF_NOBODY: no option reads this variable; remove it, or see the options of `--help`",
    ]


def test_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library outside the bounds that were tried fails the check, with the command that installs the right one."""
    metadata = tmp_path / "pandas-1.0.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: pandas\nVersion: 1.0.0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    found = list(check_versions())
    assert re.fullmatch(r"FAIL  pandas: 1.0.0 is installed, \S+ is needed; pip install 'pandas\S+'", found[0].line())
    assert exit_code_of(found) is ExitCode.NOT_DONE
