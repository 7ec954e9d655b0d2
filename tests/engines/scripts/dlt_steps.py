"""Runs pipelines of dlt step by step: `dlt_steps.py PLAN.json`, and prints the result of each step as JSON.

Each step has the `url` of an API, `tags`, a `destination` (duckdb:FILE, postgresql://… or a folder) and a `dataset`; it
may have a `key`, `sql` to run before, `options` of the source, `run` options of the pipeline, `resources`, and
`allow_quarantined`.
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
from smspartner_pipelines.engines.dlt import check, smspartner_source


def destination(uri: str) -> Any:
    """Give the destination that a URI names."""
    if uri.startswith("duckdb:"):
        return dlt.destinations.duckdb(uri.removeprefix("duckdb:"))
    return dlt.destinations.postgres(uri) if uri.startswith("postgresql:") else dlt.destinations.filesystem(uri)


def run(step: dict[str, Any]) -> dict[str, Any]:
    """Run one step."""
    os.environ["SMSPARTNER_API_KEY"] = step.get("key", "sandbox-key")
    pipeline = dlt.pipeline(step["dataset"], destination=destination(step["destination"]), dataset_name=step["dataset"])
    if "sql" in step:
        with pipeline.sql_client() as client:
            client.execute_sql(step["sql"])
    facts: dict[str, Any] = {}
    try:
        connection = Connection(read_api_key(), base_url=step["url"], retries=1, backoff=0, pass_pauses=(0.0,))
        source = smspartner_source(step["tags"], connection, **{"validate": "contract", **step.get("options", {})})
        if "resources" in step:
            source = source.with_resources(*step["resources"])
        pipeline.run(source, **step.get("run", {}))
        facts["counted"] = pipeline.last_trace.last_normalize_info.row_counts
    except Exception as exc:
        logging.getLogger("tests").exception("the step failed")
        return {"failed": str(exc)}
    try:
        check(pipeline, allow_quarantined=step.get("allow_quarantined", 0))
    except Exception as exc:  # noqa: BLE001  # reported to the test
        facts |= {"check": type(exc).__name__, "said": str(exc)}
    return facts


def main() -> None:
    """Run all steps."""
    logging.basicConfig(level="DEBUG")
    steps = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    json.dump([run(step) for step in steps], sys.stdout)


if __name__ == "__main__":
    main()
