"""Runs a pipeline of dlt step by step: `dlt_steps.py PLAN.json`, and prints what became of each step as JSON.

The plan names `destination` (duckdb:FILE or postgresql://…), `dataset` and `steps`; each step has the `url` of an API,
`tags`, and may have `key`, `retries` (at once), `sql` to run before, `options` of the source, `run` options of the
pipeline, `resources` and `allow_quarantined`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import dlt
from smspartner import Connection, read_api_key
from smspartner_pipelines.dlt_source import check, smspartner_source


def destination(uri: str) -> Any:
    """Give the destination that a URI names."""
    if uri.startswith("duckdb:"):
        return dlt.destinations.duckdb(uri.removeprefix("duckdb:"))
    return dlt.destinations.postgres(uri) if uri.startswith("postgresql:") else dlt.destinations.filesystem(uri)


def connection(step: dict[str, Any]) -> Connection | None:
    """Give the connection that a step asks for, if it does."""
    if "retries" not in step:
        return None
    return Connection(read_api_key(), base_url=step["url"], retries=step["retries"], backoff=0)


def run(pipeline: Any, step: dict[str, Any]) -> dict[str, Any]:
    """Run one step."""
    os.environ["SMSPARTNER_BASE_URL"] = step["url"]
    if "key" in step:
        os.environ["SMSPARTNER_API_KEY"] = step["key"]
    if "sql" in step:
        with pipeline.sql_client() as client:
            client.execute_sql(step["sql"])
    facts: dict[str, Any] = {}
    try:
        source = smspartner_source(
            step["tags"], connection(step), **{"validate": "contract", **step.get("options", {})}
        )
        if "resources" in step:
            source = source.with_resources(*step["resources"])
        pipeline.run(source, **step.get("run", {}))
        facts["counted"] = pipeline.last_trace.last_normalize_info.row_counts
    except Exception as exc:
        logging.getLogger("tests").exception("the step failed")
        return {"failed": str(exc)}
    try:
        check(pipeline, allow_quarantined=step.get("allow_quarantined", 0))
    except Exception as exc:  # noqa: BLE001  # told to the test
        facts["check"] = type(exc).__name__
        facts["told"] = str(exc)
    return facts


def main() -> None:
    """Run all steps."""
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    logging.basicConfig(level=plan.get("level", "WARNING"))
    pipeline = dlt.pipeline("smspartner", destination=destination(plan["destination"]), dataset_name=plan["dataset"])
    json.dump([run(pipeline, step) for step in plan["steps"]], sys.stdout)


if __name__ == "__main__":
    main()
