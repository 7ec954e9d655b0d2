"""Dagster materialises the asset in this process: its retries resume, its checks say what the run has proved."""

from __future__ import annotations

import os
import runpy
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from adbc_driver_postgresql import dbapi
from faults import Campaign, Fault, HostileServer
from shared import DOCS, HOME, ROW, WAITING, asked, blocks
from smspartner.errors import SettingsError
from smspartner_pipelines.engines.dagster import SmsPartnerResource, smspartner_asset

EXAMPLE = DOCS / "examples" / "smspartner_definitions.py"
FAST = {"retries": 0, "backoff": 0, "validate": "contract", "log_level": "debug"}
DATA = [str(HOME / "data")]
CAMPAIGNS = (
    Campaign.of_rows("ripening", [ROW, WAITING]),
    Campaign.of_rows("odd", [ROW, ROW | {"status": "lost at +33639980002"}]),
    *(Campaign.of_rows(tag, [ROW]) for tag in ("late", "later", "added", "broken", "from-sql", "promo-nov", "relance")),
)
FAULTS = (
    Fault("echo_message", tag="late", times=1),
    Fault("echo_html", tag="later", times=1),
    Fault("echo_not_json", tag="broken"),
)


class Run:
    """One run of an asset and of one downstream: what Dagster keeps of it."""

    def __init__(self, asset: dg.AssetsDefinition, **resources: Any) -> None:
        @dg.asset(deps=[asset])
        def downstream() -> None: ...

        with dg.DagsterInstance.get() as instance:
            self.result = dg.materialize(
                [asset, downstream], instance=instance, raise_on_error=False, resources=resources
            )
            logs = instance.all_logs(self.result.run_id)
        events = [entry.get_dagster_event() for entry in logs if entry.is_dagster_event]
        self.success = self.result.success
        self.retries = sum(event.is_step_restarted for event in events)
        self.failures = [event.step_failure_data.error.to_string() for event in events if event.is_step_failure]
        self.said = [entry.user_message for entry in logs if not entry.is_dagster_event]
        materialised = [event.materialization for event in self.result.get_asset_materialization_events()]
        self.materialised = {one.asset_key.to_user_string(): values(one) for one in materialised}
        self.checks = {one.check_name: one for one in self.result.get_asset_check_evaluations()}


def values(event: Any) -> dict[str, Any]:
    """Give metadata as plain values."""
    return {name: value.value for name, value in event.metadata.items()}


def run(tags: Any, max_retries: int = 1, **options: Any) -> Run:
    """Run the asset for these tags."""
    given: dict[str, Any] = {"options": {**FAST, **options}, "max_retries": max_retries, "retry_delay": 0}
    return Run(smspartner_asset(tags=tags, to=DATA, **given))


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[HostileServer]:
    """An API that the environment leads to, with faults, one of which does not pass."""
    (HOME / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    with HostileServer(CAMPAIGNS, faults=FAULTS, api_key=os.environ["SMSPARTNER_API_KEY"]) as running:
        os.environ["SMSPARTNER_BASE_URL"] = running.url
        yield running


def test_a_retry_reads_only_what_is_missing(server: HostileServer) -> None:
    """A tag that fails at first is read again by retries, the others are not; then metadata, check and log say what is.

    Metadata hold rows, verdicts and the id of the run; the check of validity the statistics of Great Expectations.
    """
    (HOME / "tags.txt").write_text("ripening\nlate\n", encoding="utf-8")
    first = run(HOME / "tags.txt")
    assert (first.success, first.retries, asked(server, "ripening"), asked(server, "late")) == (True, 1, 1, 2)
    second = run(["ripening", "late", "added"], validate="gx")
    assert (second.success, second.retries, asked(server, "ripening")) == (True, 0, 2)
    metadata = second.materialised["statuses"]
    assert (metadata["rows_loaded"], metadata["waiting"], metadata["exit_code"]) == (3, 1, 0)
    assert (metadata["tags_complete"], metadata["tags_skipped"], "rows_per_second" in metadata) == (2, 1, True)
    assert (Path(DATA[0]) / "runs" / f"{metadata['run_id']}.json").exists()
    complete, valid = second.checks["every_tag_is_complete"], second.checks["rows_are_valid"]
    assert values(complete)["verdicts"] == {"skipped": 1, "complete": 2}
    facts = values(valid)
    assert (valid.passed, facts["validate"], facts["tags"], facts["rows"], facts["failed"]) == (True, "gx", 2, 3, [])
    assert "tag ripening: complete" in second.said
    assert any("3 rows loaded into" in line for line in second.said)


def test_tags_that_are_not_complete_fail_the_check_and_stop_what_is_downstream() -> None:
    """After the last retry the asset is there with what is loaded; the failed check names it, and fails the run."""
    ended = run(["added", "broken"])
    check = ended.checks["every_tag_is_complete"]
    assert (ended.success, ended.retries, list(ended.materialised)) == (False, 1, ["statuses"])
    assert "every_tag_is_complete" in ended.failures[-1]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    (missing,) = values(check)["not_complete"]
    assert (missing["tag"], missing["verdict"]) == ("broken", "failed")


def test_rows_in_quarantine_warn_also_after_a_retry(server: HostileServer) -> None:
    """Rows that are not valid are counted by tag in a warning, also where a retry skips their tag."""
    ended = run(["odd", "later"])
    check = ended.checks["nothing_in_quarantine"]
    assert (ended.success, ended.retries, asked(server, "odd")) == (True, 1, 1)
    assert set(ended.materialised) == {"statuses", "downstream"}
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert values(check)["by_tag"] == {"odd": 1}
    assert ended.checks["every_tag_is_complete"].passed


@pytest.mark.parametrize(
    ("tags", "options", "sentence"),
    [
        (["late"], {"refresh": "all", "api_key_file": str(HOME / "wrong")}, "exit code 5: "),
        ([], {}, "no tag was given"),
    ],
)
def test_what_no_retry_changes_fails_at_once(tags: list[str], options: dict[str, Any], sentence: str) -> None:
    """A refused key and wrong settings fail the step without retries, in a sentence, and nothing is materialised."""
    ended = run(tags, **options)
    assert (ended.success, ended.retries, ended.materialised) == (False, 0, {})
    assert sentence in ended.failures[0]


def test_the_key_comes_from_a_resource(server: HostileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of which Dagster keeps a variable's name alone: the asset needs no key elsewhere, other assets read rows with it.

    A key that stands in the definition is refused where it is written.
    """
    key = os.environ["SMSPARTNER_API_KEY"]
    monkeypatch.setenv("SHOP_SMS_KEY", key)
    monkeypatch.delenv("SMSPARTNER_API_KEY")
    page = definitions(blocks("dagster.md", "python")[1])
    sms = page["defs"].resources["sms"]
    assert Run(page["statuses"], sms=sms).materialised["statuses"]["tags_complete"] == 1
    assert Run(page["opt_outs"], sms=sms).materialised["opt_outs"] == {"opt_outs": 0}
    with pytest.raises(SettingsError, match="api_key, which Dagster would keep") as refused:
        Run(page["statuses"], sms=SmsPartnerResource(api_key=key))
    assert key not in str(refused.value)


def definitions(code: str) -> dict[str, Any]:
    """Give what a file with this code defines."""
    (HOME / "page.py").write_text(code, encoding="utf-8")
    return runpy.run_path(str(HOME / "page.py"))


def test_documented_definitions_run(server: HostileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example is the page's first block and loads the tags of one run; tags come from a table of campaigns."""
    monkeypatch.setenv("CAMPAIGNS_DATABASE", os.environ["TEST_POSTGRESQL"])
    example, _, from_table = blocks("dagster.md", "python")
    assert EXAMPLE.read_text(encoding="utf-8") in (DOCS / "dagster.md").read_text(encoding="utf-8")
    (HOME / "smspartner_definitions.py").write_text(example, encoding="utf-8")
    (command,) = blocks("dagster.md", "bash")
    before = asked(server, "relance")
    subprocess.run(shlex.split(command), check=True)
    assert (asked(server, "promo-nov"), asked(server, "relance")) == (1, before)
    with dbapi.connect(os.environ["TEST_POSTGRESQL"], autocommit=True) as database, database.cursor() as cursor:
        old = "select 'old', timestamptz '2020-01-01'"
        cursor.execute(f"create table campaigns as select 'from-sql' tag, now() sent_at union all {old}")
    ended = Run(definitions(from_table)["statuses"])
    assert ended.materialised["statuses"]["tags_complete"] == asked(server, "from-sql") == 1
