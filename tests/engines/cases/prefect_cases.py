"""Prefect runs the flow of the page on a server of its own, on loopback, which says how it ended."""

from __future__ import annotations

import json
import os
import runpy
from collections.abc import Iterator
from typing import Any

import pytest
from faults import Campaign, Fault, HostileServer
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from shared import DOCS, HOME, ROW, asked, blocks

EXAMPLE = DOCS / "examples" / "prefect_flow.py"
PAGE = "how-to/prefect.md"
CAMPAIGNS = tuple(Campaign.of_rows(tag, [ROW]) for tag in ("promo-nov", "late", "broken", "slow"))
FAULTS = (
    Fault("echo_message", tag="late", times=1),
    Fault("echo_not_json", tag="broken"),
    Fault("slow", tag="slow", seconds=3600),
)


@pytest.fixture(scope="module")
def server() -> Iterator[HostileServer]:
    """An API that the environment leads to, whose key Prefect alone has, kept there as the page does."""
    key = os.environ.pop("SMSPARTNER_API_KEY")
    with HostileServer(CAMPAIGNS, faults=FAULTS, api_key=key) as running:
        os.environ |= {"SMSPARTNER_BASE_URL": running.url, "SMSPARTNER_RETRIES": "0", "SMSPARTNER_BACKOFF": "0"}
        (saves,) = (code for code in blocks(PAGE, "python") if "save" in code)
        (HOME / "secret.py").write_text(saves.replace("…", key), encoding="utf-8")
        runpy.run_path(str(HOME / "secret.py"))
        yield running


@pytest.fixture(scope="module")
def flow(server: HostileServer) -> dict[str, Any]:
    """What the example defines; it tries again at once."""
    code = EXAMPLE.read_text(encoding="utf-8")
    assert code in (DOCS / PAGE).read_text(encoding="utf-8")
    (HOME / "prefect_flow.py").write_text(code.replace("=300", "=0"), encoding="utf-8")
    return runpy.run_path(str(HOME / "prefect_flow.py"))


def run(flow: dict[str, Any], *tags: str) -> Any:
    """Run the flow for these tags; give its final state."""
    (HOME / "tags.txt").write_text("\n".join(tags), encoding="utf-8")
    return flow["sms_statuses"](str(HOME / "tags.txt"), str(HOME / "data"), return_state=True)


def tries() -> int:
    """Give the number of tries of the task that began last."""
    with get_client(sync_client=True) as client:
        return max(client.read_task_runs(), key=lambda one: one.start_time).run_count


def test_a_retry_reads_only_what_is_missing(flow: dict[str, Any], server: HostileServer) -> None:
    """A tag that fails at first is read again, the other is not; the artifact lists both, with their verdicts."""
    assert run(flow, "promo-nov", "late").is_completed()
    assert (tries(), asked(server, "promo-nov"), asked(server, "late")) == (2, 1, 2)
    with get_client(sync_client=True) as client:
        named = ArtifactFilter(key=ArtifactFilterKey(any_=["sms-statuses"]))
        artifacts = sorted(client.read_artifacts(artifact_filter=named), key=lambda one: one.created)
    assert [row["verdict"] for row in json.loads(artifacts[-1].data)] == ["skipped", "complete"]


def test_a_task_is_tried_again_only_where_that_helps(flow: dict[str, Any]) -> None:
    """Tags that are not complete are tried again to the last retry; wrong settings and a refused key are not."""
    failed = run(flow, "broken")
    assert (failed.is_failed(), tries()) == (True, 4)
    failed = run(flow, "a tag that is too long to be one")
    assert (failed.is_failed(), tries()) == (True, 1)
    assert "exit status 2" in failed.message
    Secret(value=(HOME / "wrong").read_text(encoding="utf-8")).save("smspartner-api-key", overwrite=True)
    failed = run(flow, "promo-nov")
    assert (failed.is_failed(), tries()) == (True, 1)
    assert "exit status 5" in failed.message


def test_what_is_not_set_up_fails_at_once(flow: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """No try is spent where the command is missing, or the secret is not saved."""
    with monkeypatch.context() as without:
        without.setenv("PATH", "/nowhere")
        failed = run(flow, "promo-nov")
    assert (failed.is_failed(), tries(), "FileNotFoundError" in failed.message) == (True, 1, True)
    Secret.delete("smspartner-api-key")
    failed = run(flow, "promo-nov")
    assert (failed.is_failed(), tries(), "smspartner-api-key" in failed.message) == (True, 1, True)


def test_a_command_that_is_not_waited_for_ends(flow: dict[str, Any]) -> None:
    """A timeout asks the command to end, as a cancelled flow does, and is tried again; an hour is not waited."""
    runpy.run_path(str(HOME / "secret.py"))
    (HOME / "tags.txt").write_text("slow", encoding="utf-8")
    at_most = flow["load"].with_options(timeout_seconds=8, retries=1)
    ended = at_most(str(HOME / "tags.txt"), str(HOME / "slow"), since="2026-01-01T00:00:00Z", return_state=True)
    assert (ended.name, tries()) == ("TimedOut", 2)
