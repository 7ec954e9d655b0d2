"""`dagster_runs.py SCENARIOS.json`: materialise assets; print facts of each run as JSON on the last line."""

from __future__ import annotations

import json
import runpy
import shlex
import sys
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._cli import cli as program
from smspartner_pipelines.engines.dagster import smspartner_asset


def materialise(scenario: dict[str, Any], instance: dg.DagsterInstance) -> dict[str, Any]:
    """Run one scenario, with an asset downstream; DAGSTER_HOME is the home of all."""
    if "command" in scenario:
        program(shlex.split(scenario["command"])[1:], standalone_mode=False)
        return {"materialised": "by the command"}
    if "file" in scenario:
        asset = runpy.run_path(scenario["file"])["statuses"]
    else:
        tags = scenario["tags"]
        asset = smspartner_asset(tags=Path(tags) if isinstance(tags, str) else tags, retry_delay=0, **scenario["asset"])

    @dg.asset(deps=[asset])
    def downstream() -> None: ...

    result = dg.materialize([asset, downstream], instance=instance, raise_on_error=False)
    logs = instance.all_logs(result.run_id)
    events = [entry.get_dagster_event() for entry in logs if entry.is_dagster_event]
    materialised = [event.materialization for event in result.get_asset_materialization_events()]
    return {
        "success": result.success,
        "materialised": {one.asset_key.to_user_string(): values(one) for one in materialised},
        "checks": {
            check.check_name: {"passed": check.passed, "severity": check.severity.value, "facts": values(check)}
            for check in result.get_asset_check_evaluations()
        },
        "retries": sum(event.is_step_restarted for event in events),
        "failures": [event.step_failure_data.error.to_string() for event in events if event.is_step_failure],
        "said": [entry.user_message for entry in logs if not entry.is_dagster_event],
    }


def values(event: Any) -> dict[str, Any]:
    """Give metadata as plain values."""
    return {name: value.value for name, value in event.metadata.items()}


def main() -> None:
    """Run all scenarios."""
    with dg.DagsterInstance.get() as instance:
        facts = [
            materialise(scenario, instance) for scenario in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
        ]
    sys.stdout.write("\n" + json.dumps(facts) + "\n")


if __name__ == "__main__":
    main()  # the command below starts processes that import this file
