"""The command as a job of an orchestrator: its log, how it ends, what it must not keep. This needs no engine."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from faults import Campaign, Fault, HostileServer
from smspartner.errors import SettingsError, TagError
from smspartner_pipelines.engines.job import Job, JobEnd, connect, find_tags
from smspartner_schemas.contract import EXIT_MEANINGS, ExitCode

ROW = {"phoneNumber": "+33639980001", "status": "Delivered", "stopSMS": False, "date": "1517989111"}
WAITING = {"phoneNumber": "+33639980002", "status": "Waiting", "stopSMS": False, "date": ""}
FAST = {"retries": 0, "backoff": 0, "validate": "contract"}
CAMPAIGNS = (
    Campaign.of_rows("final", [ROW]),
    Campaign.of_rows("ripening", [ROW, WAITING]),
    Campaign.of_rows("#1", [ROW]),
    Campaign.of_rows("odd", [ROW, ROW | {"status": "lost"}]),
)

Said = list[tuple[int, str]]


@pytest.fixture
def said() -> Said:
    """What the command says, with levels."""
    return []


@pytest.fixture
def server(start_sandbox: Callable[..., HostileServer], monkeypatch: pytest.MonkeyPatch) -> HostileServer:
    """An API that the environment leads to."""
    server = start_sandbox(CAMPAIGNS)
    monkeypatch.setenv("SMSPARTNER_BASE_URL", server.url)
    monkeypatch.setenv("SMSPARTNER_API_KEY", "sandbox-key")
    return server


@pytest.fixture
def run(server: HostileServer, tmp_path: Path, said: Said) -> Callable[..., JobEnd]:
    """Run a job of these tags into `data`, with a log of requests of its own."""

    def job(*tags: str, since: datetime | None = None, **options: Any) -> JobEnd:
        server.forget_requests()
        made = Job([str(tmp_path / "data")], {**FAST, **options})
        return made.run(tags, lambda level, text: said.append((level, text)), since)

    return job


def asked(server: HostileServer) -> list[str | None]:
    """Give the tags of which a server was asked."""
    return sorted(request.tag or "" for request in server.requests)


def test_a_job_gives_the_run_report_and_passes_on_the_log(
    run: Callable[..., JobEnd], said: Said, server: HostileServer
) -> None:
    """The log holds progress and summary, what is kept counts rows; a tag that looks like a comment is asked for."""
    ended = run("final", "ripening", "#1", "nobody's")
    summary = ended.summary()
    assert asked(server) == ["#1", "final", "nobody's", "ripening"]
    assert (logging.INFO, "tag final: complete") in said
    assert any("4 rows loaded" in text for _, text in said)
    assert (summary["exit_code"], summary["verdicts"]) == (0, {"complete": 3, "unknown": 1})
    assert (summary["rows_received"], summary["rows_loaded"], summary["rows_quarantined"]) == (4, 4, 0)
    assert (summary["delivered"], summary["waiting"], ended.try_again) == (3, 1, False)


def test_a_retry_reads_only_what_is_missing(run: Callable[..., JobEnd], said: Said, server: HostileServer) -> None:
    """What was read since the job began is not read again, and its rows in quarantine still count.

    What needs a person stands in the log as a warning or an error.
    """
    began = datetime.now(UTC) - timedelta(seconds=1)
    server.faults.add(Fault("server_error", tag="final", times=1))
    first = run("odd", "ripening", "final")
    assert (first.exit_code, first.try_again, asked(server)) == (3, True, ["final", "odd", "ripening"])
    assert first.sentence.endswith("final (failed)")
    needs_a_person = [text for level, text in said if level >= logging.ERROR]
    assert needs_a_person[0].startswith("final: failed: page 1: ")
    assert needs_a_person[-1].startswith("exit code 3: ")
    assert any(level == logging.WARNING and text.startswith("in quarantine: 1 row of odd") for level, text in said)
    second = run("odd", "ripening", "final", since=began)
    assert (second.exit_code, second.try_again, asked(server)) == (4, False, ["final"])
    assert second.summary()["rows_quarantined"] == 1
    assert run("odd", since=began, allow_quarantined=1).exit_code == 0


def test_a_refused_key_ends_a_job_for_good_and_is_shown_nowhere(
    run: Callable[..., JobEnd], said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a job whose key is refused says so without the key."""
    monkeypatch.setenv("SMSPARTNER_API_KEY", "9f3a8c7b&d5e4 f3a")
    ended = run("final", log_level="debug")
    shown = f"{said} {ended!r} {ended.sentence} {ended.summary()}"
    assert (ended.exit_code, ended.try_again) == (5, False)
    assert not [spelled for spelled in ("9f3a8c7b", "d5e4", "f3a") if spelled in shown]


def test_an_orchestrators_own_key_reaches_the_command_by_its_environment(
    server: HostileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A connection given to the job goes before what the environment says, and stands on no command line."""
    connection = connect(" sandbox-key\n", None)
    monkeypatch.setenv("SMSPARTNER_API_KEY", "not-the-key-of-this")
    monkeypatch.delenv("SMSPARTNER_BASE_URL")
    spy = tmp_path / "spy"
    program = f"{sys.executable} -P -m smspartner_pipelines.process"
    spy.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/line\nexec {program} "$@"\n', encoding="utf-8")
    spy.chmod(0o755)
    ended = Job([str(tmp_path / "data")], FAST, str(spy)).run(["final"], lambda *_: None, None, connection)
    assert (ended.exit_code, asked(server)) == (0, ["final"])
    assert "sandbox-key" not in (tmp_path / "line").read_text(encoding="utf-8")


def test_wrong_settings_are_said_as_the_command_says_them(run: Callable[..., JobEnd], server: HostileServer) -> None:
    """A value that the command refuses ends the job for good, in the command's words."""
    ended = run("final", rate="often")
    assert (ended.exit_code, ended.try_again, ended.report, asked(server)) == (2, False, None, [])
    assert "--rate" in ended.sentence
    assert ended.summary() == {"exit_code": 2, "meaning": ended.sentence.removeprefix("exit code 2: "), "run_id": None}


def test_a_misspelt_option_is_refused_where_the_job_is_written(server: HostileServer) -> None:
    """Unless the command is another environment's, whose version may have that option: then the command says so."""
    with pytest.raises(SettingsError, match="the option ratee does not exist; see `smspartner run --help`"):
        Job(["data"], {"ratee": "300/min"})
    command = [sys.executable, "-P", "-m", "smspartner_pipelines.process"]
    ended = Job(["data"], {"ratee": "300/min"}, command).run(["final"], lambda *_: None)
    assert (ended.exit_code, "the option --ratee does not exist" in ended.sentence) == (2, True)


def test_a_missing_key_is_an_error_in_the_log(
    run: Callable[..., JobEnd], said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job without a key ends with the command's own error, and says where a key may come from."""
    monkeypatch.delenv("SMSPARTNER_API_KEY")
    ended = run("final")
    assert (ended.exit_code, said[-1][0]) == (2, logging.ERROR)
    assert "there is no API key; set SMSPARTNER_API_KEY" in ended.sentence


@pytest.mark.parametrize("how", ["timeout", "stop"])
def test_a_job_that_is_ended_early_ends_in_order(server: HostileServer, said: Said, tmp_path: Path, how: str) -> None:
    """A timeout of the orchestrator, or `stop`, asks the command to end, which says so and which tags are missing."""
    server.faults.add(Fault("slow", seconds=3600))
    job = Job([str(tmp_path / "data")], FAST)

    def say(level: int, text: str) -> None:
        said.append((level, text))
        if text.startswith("reading") and how == "timeout":
            raise TimeoutError
        if text.startswith("reading"):
            job.stop()

    if how == "timeout":
        with pytest.raises(TimeoutError):
            job.run(["final"], say)
        assert any("interrupted" in text for _, text in said)
    else:
        ended = job.run(["final"], say)
        assert (ended.exit_code, ended.try_again, ended.summary()["tags_not_reached"]) == (130, True, 1)


@pytest.mark.parametrize(
    ("to", "options"),
    [
        (["postgresql://me:s3cret@host/db"], {}),
        (["data"], {"api_key": "9f3a8c7b"}),
        (["data"], {"phone_key": "9f3a8c7b"}),
        (["data"], {"tags_file": "tags.txt"}),
        (["data"], {"tags": "promo"}),
    ],
)
def test_a_job_holds_no_secret(to: list[str], options: dict[str, Any]) -> None:
    """What an orchestrator would keep and show is refused where the job is written, without being repeated."""
    with pytest.raises(SettingsError) as refused:
        Job(to, options)
    assert not [secret for secret in ("s3cret", "9f3a8c7b") if secret in str(refused.value)]


def test_a_command_that_is_not_there(said: Said) -> None:
    """A wrong `command` is a setting to correct."""
    with pytest.raises(SettingsError, match="/no/such/smspartner can't be started: No such file"):
        Job(["data"], command="/no/such/smspartner").run(["a"], lambda *_: None)


def test_tags_are_found_where_they_are_kept(tmp_path: Path) -> None:
    """Tags come from a list, a file or a function, each once; a mere text is not guessed at, and none are an error."""
    file = tmp_path / "tags.txt"
    file.write_text("promo # of November\nrelance\npromo\n", encoding="utf-8")
    assert find_tags(["b", "a", "b"]) == ["b", "a"]
    assert find_tags(file) == ["promo", "relance"]
    assert find_tags(lambda: (tag for tag in ("x", "y"))) == ["x", "y"]
    with pytest.raises(SettingsError, match="give a list"):
        find_tags("promo")
    with pytest.raises(TagError, match="no tag was given"):
        find_tags(list)


@pytest.mark.parametrize("code", [*map(int, ExitCode), -9, 127])
def test_every_exit_code_has_a_sentence_and_a_decision(code: int) -> None:
    """Each exit code is either success, worth another try, or final; what kills a process is worth another try."""
    ended = JobEnd(code, None)
    assert ended.try_again is (code not in {0, 2, 4, 5})
    expected = EXIT_MEANINGS[ExitCode(code)] if code in set(ExitCode) else "killed, or the command is not `smspartner`"
    assert ended.sentence == f"exit code {code}: {expected}"


def test_a_summary_does_not_fill_the_orchestrators_database() -> None:
    """It names the first hundred tags that are not complete, and counts all; the sentence names few."""
    rows = [{"tag": f"t{n}", "verdict": "failed", "reason": "said", "delivered": 0, "waiting": 0} for n in range(5000)]
    report = {"run_id": "R", "seconds": 1.0, "failure": None, "meaning": "not done", "tags": rows, "not_reached": ["x"]}
    report |= {"totals": {"tags": 5000}, "destinations": [{"uri": "lake", "failure": "disk full"}]}
    ended = JobEnd(1, report)
    assert (len(ended.summary()["not_complete"]), ended.summary()["tags_not_complete"]) == (100, 5000)
    assert len(json.dumps(ended.summary())) < 20_000
    some = "t0 (failed), t1 (failed), t2 (failed), t3 (failed), t4 (failed) and 4995 more"
    assert ended.sentence == f"exit code 1: not done; lake: disk full; {some}; 1 tags were not reached"


def test_an_orchestrator_needs_no_library_of_the_product() -> None:
    """The product may live in an environment of its own: a job imports nothing but Python's own modules."""
    code = "import sys, smspartner_pipelines.engines.job as j; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    libraries = {"click", "great_expectations", "msgspec", "numpy", "pandas", "pyarrow", "requests", "rich"}
    assert libraries.isdisjoint(name.partition(".")[0] for name in modules)


@pytest.mark.parametrize("extra", ["airflow", "dagster", "dlt", "spark"])
def test_without_the_engine_one_sentence_says_what_to_install(extra: str) -> None:
    """Whoever imports the module of an engine that is not installed reads which extra to install."""
    code = f"import smspartner_pipelines.engines.{extra}"
    tried = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert tried.stderr.splitlines()[-1].endswith(f" is missing; pip install 'smspartner-connector[{extra}]'")
