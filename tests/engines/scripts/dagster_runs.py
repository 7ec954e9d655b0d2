"""Materialise assets as scenarios ask (JSON on standard input); print facts of each run as JSON on the last line."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import dagster as dg
from smspartner_pipelines.engines.dagster import smspartner_asset


def materialise(scenario: dict[str, Any], instance: dg.DagsterInstance) -> dict[str, Any]:
    """Run one scenario, with an asset downstream; DAGSTER_HOME is the home of all."""
    os.environ |= scenario.get("environment", {})
    tags = scenario["tags"]
    asset = smspartner_asset(tags=Path(tags) if isinstance(tags, str) else tags, retry_delay=0, **scenario["asset"])

    @dg.asset(deps=[asset])
    def downstream() -> None: ...

    result = dg.materialize([asset, downstream], instance=instance, raise_on_error=False)
    events = instance.all_logs(result.run_id)
    return {
        "success": result.success,
        "materialised": {event.asset_key.to_user_string(): values(event) for event in materialised(result)},
        "checks": {
            check.check_name: {"passed": check.passed, "severity": check.severity.value, "facts": values(check)}
            for check in result.get_asset_check_evaluations()
        },
        "retries": sum(event.is_dagster_event and event.get_dagster_event().is_step_restarted for event in events),
        "failures": [
            event.get_dagster_event().step_failure_data.error.to_string() for event in events if is_failure(event)
        ],
        "said": [event.user_message for event in events if not event.is_dagster_event],
    }


def is_failure(event: dg.EventLogEntry) -> bool:
    """Whether a step has failed for good."""
    return event.is_dagster_event and event.get_dagster_event().is_step_failure


def materialised(result: dg.ExecuteInProcessResult) -> list[Any]:
    """Give the materialisations."""
    return [event.materialization for event in result.get_asset_materialization_events()]


def values(event: Any) -> dict[str, Any]:
    """Give metadata as plain values."""
    return {name: value.value for name, value in event.metadata.items()}


def main() -> None:
    """Run all scenarios."""
    with dg.DagsterInstance.get() as instance:
        facts = [materialise(scenario, instance) for scenario in json.load(sys.stdin)]
    sys.stdout.write("\n" + json.dumps(facts) + "\n")


main()
