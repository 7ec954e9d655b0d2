"""The command as a job of an orchestrator: what it says, how it ends, what it must not keep."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from smspartner.errors import SettingsError, TagError
from smspartner_pipelines.as_job import Job, find_tags
from smspartner_pipelines.job_end import JobEnd
from smspartner_pipelines.sandbox import Campaign, Fault, Sandbox

ROW = {"phoneNumber": "+33639980001", "status": "Delivered", "stopSMS": False, "date": "1517989111"}
WAITING = {"phoneNumber": "+33639980002", "status": "Waiting", "stopSMS": False, "date": ""}
FAST = {"retries": 0, "backoff": 0, "validate": "contract"}
CAMPAIGNS = (
    Campaign.of_rows("settled", [ROW]),
    Campaign.of_rows("ripening", [ROW, WAITING]),
    Campaign.of_rows("#1", [ROW]),
    Campaign.of_rows("doubtful", [ROW, ROW | {"status": "lost"}]),
)


@pytest.fixture
def said() -> list[tuple[int, str]]:
    """What the command says, with levels."""
    return []


@pytest.fixture
def run(
    start_sandbox: Callable[..., Sandbox],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    said: list[tuple[int, str]],
) -> Callable[..., tuple[JobEnd, Sandbox]]:
    """Run a job of these tags on a sandbox with these faults, into `data`; `key` is the one that is sent."""
    sandbox = start_sandbox(CAMPAIGNS)
    monkeypatch.setenv("SMSPARTNER_BASE_URL", sandbox.url)

    def job(
        *tags: str, key: str = "sandbox-key", since: datetime | None = None, **options: Any
    ) -> tuple[JobEnd, Sandbox]:
        monkeypatch.setenv("SMSPARTNER_API_KEY", key)
        sandbox.forget_requests()
        made = Job([str(tmp_path / "data")], {**FAST, **options})
        return made.run(tags, lambda level, text: said.append((level, text)), since), sandbox

    return job


def asked(sandbox: Sandbox) -> list[str | None]:
    """Give the tags of which a sandbox was asked."""
    return sorted(request.tag or "" for request in sandbox.requests)


def test_a_job_gives_the_run_report_and_passes_on_what_is_said(
    run: Callable[..., Any], said: list[tuple[int, str]]
) -> None:
    """An orchestrator's log holds the progress and the summary; what it keeps counts rows and verdicts."""
    ended, _ = run("settled", "ripening", "nobody's")
    summary = ended.summary()
    assert (logging.INFO, "tag settled: complete") in said
    assert any(text.startswith("run ") and "3 rows loaded" in text for _, text in said)
    assert (summary["exit_code"], summary["verdicts"]) == (0, {"complete": 2, "unknown": 1})
    assert (summary["rows_received"], summary["rows_loaded"], summary["rows_quarantined"]) == (3, 3, 0)
    assert (summary["delivered"], summary["waiting"], ended.try_again) == (2, 1, False)


def test_every_tag_reaches_the_command(run: Callable[..., Any]) -> None:
    """A tag that begins like a comment of a tags file is asked for, too."""
    _, sandbox = run("#1", "settled")
    assert asked(sandbox) == ["#1", "settled"]


def test_a_retry_reads_only_what_is_missing(run: Callable[..., Any]) -> None:
    """What was read since the job began is not read again, even where messages still wait; a new job reads it."""
    began = datetime.now(UTC) - timedelta(seconds=1)
    _, sandbox = run("ripening")
    sandbox.faults.add(Fault("server_error", tag="settled", times=1))
    first, _ = run("ripening", "settled", since=began)
    assert (first.exit_code, first.try_again, asked(sandbox)) == (3, True, ["settled"])
    assert "settled (failed)" in first.sentence
    second, _ = run("ripening", "settled", since=began)
    assert (second.exit_code, asked(sandbox)) == (0, ["settled"])
    run("ripening", "settled")
    assert asked(sandbox) == ["ripening"]


def test_rows_in_quarantine_are_not_tried_again(run: Callable[..., Any]) -> None:
    """Doubted rows are told by exit code 4, which another try would not change; an allowance makes it 0."""
    ended, _ = run("doubtful")
    assert (ended.exit_code, ended.try_again, ended.summary()["rows_quarantined"]) == (4, False, 1)
    assert run("doubtful", refresh="all", allow_quarantined=1)[0].exit_code == 0


def test_a_refused_key_is_told_and_shown_nowhere(run: Callable[..., Any], said: list[tuple[int, str]]) -> None:
    """The end of a job whose key is refused says so without the key, and is not tried again."""
    key = "9f3a8c7b&d5e4 f3a"
    ended, _ = run("settled", key=key, log_level="debug")
    told = f"{said} {ended!r} {ended.sentence} {ended.summary()}"
    assert (ended.exit_code, ended.try_again) == (5, False)
    assert not [spelled for spelled in ("9f3a8c7b", "d5e4", "f3a") if spelled in told]


def test_no_connection_is_worth_another_try(run: Callable[..., Any], said: list[tuple[int, str]]) -> None:
    """Without the API every tag is reported as failed, and another try may help."""
    ended, _ = run("settled", base_url="http://127.0.0.1:9")
    assert (ended.exit_code, ended.try_again, ended.summary()["verdicts"]) == (3, True, {"failed": 1})
    assert "sandbox-key" not in f"{said} {ended!r}"


def test_wrong_settings_are_told_as_the_command_tells_them(run: Callable[..., Any]) -> None:
    """An option that the command does not have ends the job for good, in the command's words."""
    ended, sandbox = run("settled", concurrencyy=3)
    assert (ended.exit_code, ended.try_again, ended.report, asked(sandbox)) == (2, False, None, [])
    assert "No such option" in ended.sentence
    assert ended.summary() == {"exit_code": 2, "meaning": ended.sentence.removeprefix("exit code 2: "), "run_id": None}


def test_what_ends_the_waiting_ends_the_command(
    said: list[tuple[int, str]], start_sandbox: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A timeout of the orchestrator asks the command to end in order, and goes on when it has."""
    slow = start_sandbox(CAMPAIGNS, latency=30.0)
    monkeypatch.setenv("SMSPARTNER_API_KEY", "sandbox-key")
    job = Job([str(tmp_path / "slow")], {**FAST, "base_url": slow.url})

    def say(level: int, text: str) -> None:
        said.append((level, text))
        if text.startswith("reading"):
            raise TimeoutError

    with pytest.raises(TimeoutError):
        job.run(["settled"], say)
    assert any("interrupted" in text for _, text in said)


def test_a_job_that_is_stopped_reports_its_end(
    said: list[tuple[int, str]], start_sandbox: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`stop` ends the run as an interrupt would: the report says which tags were not reached, and a retry may help."""
    sandbox = start_sandbox(CAMPAIGNS, latency=30.0)
    monkeypatch.setenv("SMSPARTNER_API_KEY", "sandbox-key")
    job = Job([str(tmp_path / "data")], {**FAST, "base_url": sandbox.url})
    ended = job.run(["settled"], lambda _, text: job.stop() if text.startswith("reading") else None)
    assert (ended.exit_code, ended.errors, ended.try_again, ended.not_reached) == (130, (), True, ["settled"])


@pytest.mark.parametrize(
    ("to", "options"),
    [
        (["postgresql://me:s3cret@host/db"], {}),
        (["data"], {"api_key": "9f3a8c7b"}),
        (["data"], {"phone_key": "9f3a8c7b"}),
        (["data"], {"tags_file": "tags.txt"}),
    ],
)
def test_a_job_holds_no_secret(to: list[str], options: dict[str, Any]) -> None:
    """What an orchestrator would keep and show is refused where the job is written, without being repeated."""
    with pytest.raises(SettingsError) as refused:
        Job(to, options)
    assert not [secret for secret in ("s3cret", "9f3a8c7b") if secret in str(refused.value)]


def test_a_command_that_is_not_there_is_told(said: list[tuple[int, str]]) -> None:
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
    with pytest.raises(SettingsError, match="Path"):
        find_tags("promo")
    with pytest.raises(TagError, match="no tag was given"):
        find_tags(list)


def test_an_orchestrator_needs_no_library_of_the_product() -> None:
    """The product may live in an environment of its own: a job imports nothing but Python's own modules."""
    code = "import sys, smspartner_pipelines.as_job as j; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    foreign = {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names)
    assert foreign.isdisjoint(
        {"click", "great_expectations", "msgspec", "numpy", "pandas", "pyarrow", "requests", "rich"}
    )


@pytest.mark.parametrize("module", ["airflow_dag", "dagster_assets"])
def test_without_the_engine_one_sentence_says_what_to_install(module: str) -> None:
    """Whoever imports a door to an engine that is not installed reads which extra to install."""
    extra = module.partition("_")[0]
    code = f"import smspartner_pipelines.{module}"
    tried = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"needs {extra}" in tried.stderr.splitlines()[-1]
    assert tried.stderr.splitlines()[-1].endswith(f"pip install 'smspartner-connector[{extra}]'")
