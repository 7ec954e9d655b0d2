"""Is everything ready for a run, and what is to be done?"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from smspartner.connection import Connection
from smspartner.errors import SettingsError
from smspartner_pipelines.load.lock import exclusive
from smspartner_pipelines.check import check_all
from smspartner_pipelines.check_here import check_variables, check_versions
from smspartner_pipelines.check_places import check_place
from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.findings import Finding, exit_code_of
from smspartner_pipelines.sandbox import Fault, Sandbox


def lines(findings: Iterator[Finding]) -> list[str]:
    """Give the lines."""
    return [finding.line() for finding in findings]


def test_ready(start_sandbox: Any, connect: Any, tmp_path: Path) -> None:
    """With a good key and destinations everything is said to be fine, after one request."""
    sandbox = start_sandbox([])
    to = [str(tmp_path / "data"), str(tmp_path / "x.csv")]
    found = list(check_all(lambda: connect(sandbox), to, environment={}))
    said = lines(iter(found))
    assert said[:-1] == [
        "ok    API key: accepted by the API",
        "ok    clock: agrees with the API's",
        f"ok    {to[0]}: can be written; 0 tags are loaded",
        f"ok    {to[1]}: can be written",
    ]
    assert re.match(r"ok    versions: smspartner-connector \S+, great-expectations .*, Python 3", said[-1])
    assert exit_code_of(found) is ExitCode.OK
    assert [record.path for record in sandbox.requests] == ["/v1/me"]
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize(
    ("fault", "code", "start", "advice"),
    [
        ("vendor_error_10", ExitCode.REFUSED, "FAIL  API key: the API answered code 10", "check the key in your"),
        ("server_error", ExitCode.NOT_DONE, "FAIL  API key: HTTP 500", "run again later"),
        ("html", ExitCode.NOT_DONE, "FAIL  API key: the body is a web page", "check network, proxy and --base-url"),
    ],
)
def test_the_key_is_not_accepted(  # noqa: PLR0917
    start_sandbox: Any, connect: Any, fault: str, code: ExitCode, start: str, advice: str
) -> None:
    """What is wrong with key or network is said with what to do about it, and gives the exit code."""
    sandbox = start_sandbox([], faults=[Fault(fault)])
    found = list(check_all(lambda: connect(sandbox), [], environment={}))
    assert (found[0].line().startswith(start), advice in found[0].told) == (True, True)
    assert exit_code_of(found) is code


def test_everything_is_checked(tmp_path: Path) -> None:
    """One failure does not hide the next; the first gives the exit code."""
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")

    def no_key() -> Connection:
        raise SettingsError("no API key: set one")

    found = list(check_all(no_key, [str(file), "nothing://x"], environment={}))
    assert [finding.level for finding in found] == ["FAIL", "FAIL", "FAIL", "ok"]
    assert found[0].line() == "FAIL  API key: no API key: set one"
    assert exit_code_of(found) is ExitCode.WRONG_SETTINGS


def test_key_file_that_others_can_read(start_sandbox: Any, connect: Any, tmp_path: Path) -> None:
    """A key file that is open to others is warned of, and nothing else of it is told."""
    file = tmp_path / "key"
    file.write_text("sandbox-key", encoding="utf-8")
    sandbox = start_sandbox([])
    told = []
    for mode in (0o644, 0o600):
        file.chmod(mode)
        told.append(lines(check_all(lambda: connect(sandbox), [], environment={}, key_file=str(file)))[0])
    assert told == [
        f"warn  API key file: {file} is open to others (mode 644); chmod 600 {file}",
        "ok    API key: accepted by the API",
    ]


def test_proxy(start_sandbox: Any, connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that can't be reached is named as what may be in the way, by host only."""
    sandbox: Sandbox = start_sandbox([])
    gone = start_sandbox([])
    place = gone.url.removeprefix("http://").removesuffix("/v1")
    gone.stop()
    monkeypatch.setenv("HTTP_PROXY", f"http://someone:proxy-password@{place}")
    said = lines(check_all(lambda: connect(sandbox), [], environment=os.environ))
    assert said[0].startswith("FAIL  API key: the proxy named by the environment can't be used; ")
    assert said[1] == (
        f"warn  proxy: {place} stands between here and the API; check HTTPS_PROXY, or name the API's host in NO_PROXY"
    )
    assert "proxy-password" not in "".join(said)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert "proxy" not in "".join(lines(check_all(lambda: connect(sandbox), [], environment=os.environ))[:-1])


def test_certificate(
    start_sandbox: Any, connect: Any, certificate: Any, authority_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate that is not trusted is told with the variable that helps, and with the one that does not."""
    sandbox = start_sandbox([], **certificate)
    environment = {"SSL_CERT_FILE": authority_file}
    said = lines(check_all(lambda: connect(sandbox), [], environment=environment))
    assert said[:2] == [
        (
            "FAIL  API key: TLS failed: the server's certificate is not trusted; name your own authority's file in "
            "REQUESTS_CA_BUNDLE"
        ),
        "warn  TLS: SSL_CERT_FILE is set but not read; name the file in REQUESTS_CA_BUNDLE",
    ]
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", f"{authority_file}.gone")
    said = lines(check_all(lambda: connect(sandbox), [], environment={}))
    assert said[0] == (
        "FAIL  API key: no answer: the file that REQUESTS_CA_BUNDLE names can't be found; correct that variable"
    )
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority_file)
    said = lines(check_all(lambda: connect(sandbox), [], environment=environment))
    assert said[0] == "ok    API key: accepted by the API"


def test_variables() -> None:
    """A variable that no option reads is warned of by its name, with the one that may have been meant."""
    environment = {
        "SMSPARTNER_CONCURENCY": "+33612345678",
        "SMSPARTNER_RATE": "1/s",
        "SMSPARTNER_OF_NOBODY": "",
        "HOME": "/",
    }
    assert lines(check_variables(environment, {"SMSPARTNER_CONCURRENCY", "SMSPARTNER_RATE"})) == [
        "warn  SMSPARTNER_CONCURENCY: no option reads this variable; write SMSPARTNER_CONCURRENCY if that was meant",
        "warn  SMSPARTNER_OF_NOBODY: no option reads this variable; remove it, or see the options of `--help`",
    ]


def test_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library outside the bounds that were tried fails the check, with the command that mends it."""
    metadata = tmp_path / "pandas-2.0.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: pandas\nVersion: 2.0.0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    found = list(check_versions())
    assert lines(iter(found)) == ["FAIL  pandas: 2.0.0 is installed, <4,>=3 is needed; pip install 'pandas<4,>=3'"]
    assert exit_code_of(found) is ExitCode.NOT_DONE


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Make an empty dataset."""
    place = tmp_path / "data"
    for folder in ("statuses", "quarantine", "tag_runs", "runs", ".staging"):
        (place / folder).mkdir(parents=True)
    return place


def test_foreign_files_and_leftovers(dataset: Path) -> None:
    """Files that readers would read and no run has loaded are named; leftovers of dead runs are counted."""
    for name in ("statuses/x.csv", "statuses/backup", "statuses/_hidden", "statuses/a-0123456789abcdef.txt"):
        (dataset / name).touch()
    (dataset / ".staging" / "left").touch()
    assert lines(check_place(str(dataset)))[1:] == [
        f"warn  {dataset}: 1 leftovers of a run that was killed; nothing to do, the next run removes them",
        (
            f"warn  {dataset}: statuses/a-0123456789abcdef.txt, statuses/backup, statuses/x.csv were not loaded by "
            "this product, but readers read them; move them away"
        ),
    ]


def test_held(dataset: Path) -> None:
    """A destination that a run holds is warned of, with its process where that is known; a file alone is not."""
    with exclusive(dataset / ".lock", "data"):
        (said,) = lines(check_place(str(dataset)))[1:]
    who = f"process {os.getpid()}" if Path("/proc/locks").exists() else "another process or machine"
    assert said == f"warn  {dataset}: a run holds it ({who}); wait until it has ended"
    (dataset / ".lock").touch()
    assert len(lines(check_place(str(dataset)))) == 1


def test_space(dataset: Path) -> None:
    """A disk with less space than is sensible is warned of."""
    (said,) = lines(check_place(str(dataset), least_free=1 << 60))[1:]
    assert re.fullmatch(rf"warn  {dataset}: only [0-9,]+ MB are free on its disk; make room, or load elsewhere", said)
