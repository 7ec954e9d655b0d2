"""The workflow of `github-actions.md` does what its page says, step by step as a runner takes them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from faults import Campaign, Fault, HostileServer

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "github-actions.md"
TEXT = (ROOT / "docs" / "examples" / "github-schedule.yml").read_text(encoding="utf-8")
WORKFLOW = yaml.safe_load(TEXT)
STEPS = {step.get("name", step.get("uses")): step for step in WORKFLOW["jobs"]["load"]["steps"]}
SECRETS = {"secrets.SMSPARTNER_API_KEY": "sandbox-key", "secrets.AWS_ACCESS_KEY_ID": "id-of-tests"}
ROW = {"phoneNumber": "+33639980001", "status": "Delivered", "stopSMS": False, "date": "1517989111"}


@pytest.fixture
def load(tmp_path: Path, bucket: Any) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the step "Load" against an API and an object store on loopback; pauses are written down and not made."""
    (tmp_path / "sleep").write_text(f'#!/bin/sh\necho "$1" >>{tmp_path}/pauses\n', encoding="utf-8")
    (tmp_path / "sleep").chmod(0o755)
    (tmp_path / "tags.txt").write_text("promo-nov\nrelance\n", encoding="utf-8")
    path = f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}"

    def run(server: HostileServer, **settings: str) -> subprocess.CompletedProcess[str]:
        given = {**SECRETS, "vars.SMSPARTNER_TO": f"{bucket.uri}/sms", "secrets.AWS_SECRET_ACCESS_KEY": "key-of-tests"}
        given |= {"vars.AWS_REGION": "eu-west-3"}
        env = {name: re.sub(r"\$\{\{ (\S+) \}\}", lambda m: given[m[1]], v) for name, v in STEPS["Load"]["env"].items()}
        fast = {"SMSPARTNER_BASE_URL": server.url, "SMSPARTNER_RETRIES": "0", "SMSPARTNER_VALIDATE": "contract"}
        (tmp_path / "script").write_text(STEPS["Load"]["run"], encoding="utf-8")
        return subprocess.run(
            ["bash", "-e", "script"],  # as a runner does
            cwd=tmp_path,
            env={"PATH": path, "HOME": str(tmp_path), "AWS_ENDPOINT_URL": bucket.endpoint, **env, **fast, **settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


@pytest.fixture
def server(start_sandbox: Callable[..., HostileServer]) -> HostileServer:
    """An API with two tags."""
    return start_sandbox(tuple(Campaign.of_rows(tag, [ROW]) for tag in ("promo-nov", "relance")))


def pauses(folder: Path) -> list[str]:
    """Give the pauses before retries."""
    return (folder / "pauses").read_text(encoding="utf-8").split() if (folder / "pauses").exists() else []


def test_the_workflow_is_the_page_and_keeps_runs_apart() -> None:
    """It runs hourly, one at a time, with rights to read alone; it installs extras that exist, and keeps the report."""
    assert TEXT in PAGE.read_text(encoding="utf-8")
    triggers = WORKFLOW[True]  # YAML 1.1 reads `on` so
    assert triggers["schedule"] == [{"cron": "17 * * * *"}]
    assert (WORKFLOW["concurrency"]["cancel-in-progress"], WORKFLOW["permissions"]) == (False, {"contents": "read"})
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (extras,) = re.findall(rf"'{declared['name']}\[(.+)\]'", STEPS["Install"]["run"])
    assert set(extras.split(",")) <= set(declared["optional-dependencies"])
    assert (STEPS["Keep the run report"]["if"], STEPS["Keep the run report"]["with"]["path"]) == (
        "always()",
        "run.json",
    )


def test_a_retry_reads_only_what_is_missing(
    load: Callable[..., Any], server: HostileServer, bucket: Any, tmp_path: Path
) -> None:
    """A tag that fails at first is read again after a pause, the other is not; the report of the last try is kept."""
    server.faults.add(Fault("server_error", tag="relance", times=1))
    ended = load(server)
    assert (ended.returncode, pauses(tmp_path)) == (0, ["60"]), ended.stderr
    assert sorted(str(request.tag) for request in server.requests) == ["promo-nov", "relance", "relance"]
    assert sum(key.endswith(".parquet") and "statuses/" in key for key in bucket.objects("sms/")) == 2
    report = (tmp_path / "run.json").read_text(encoding="utf-8")
    assert json.loads(report)["totals"]["verdicts"] == {"skipped": 1, "complete": 1}
    shown = report + ended.stdout + ended.stderr
    assert [secret for secret in ("sandbox-key", "id-of-tests", "key-of-tests", "33639980001") if secret in shown] == []


@pytest.mark.parametrize(
    ("settings", "code", "paused"),
    [
        ({"SMSPARTNER_API_KEY": "another-key"}, 5, []),
        ({"SMSPARTNER_RATE": "fast"}, 2, []),
        ({"SMSPARTNER_BASE_URL": "http://127.0.0.1:9"}, 3, ["60", "300", "0"]),
    ],
)
def test_the_job_fails_with_the_exit_code(
    load: Callable[..., Any],
    server: HostileServer,
    tmp_path: Path,
    settings: dict[str, str],
    code: int,
    paused: list[str],
) -> None:
    """At once where a person must look, and after three tries where another one might have helped."""
    assert (load(server, **settings).returncode, pauses(tmp_path)) == (code, paused)
