"""Load tags through Dagster: dagster_rows.py TAGS_FILE OUT.parquet."""

from __future__ import annotations

import sys
from pathlib import Path

import dagster as dg
from smspartner_pipelines.engines.dagster import smspartner_asset


def main(tags: str, to: str) -> None:
    """Materialise the asset once; an asset that is not complete is a failure here."""
    asset = smspartner_asset(tags=Path(tags), to=[to], max_retries=0)
    result = dg.materialize([asset])
    checks = result.get_asset_check_evaluations()
    if not all(check.passed for check in checks):
        raise SystemExit(f"checks failed: {[check.check_name for check in checks if not check.passed]}")


main(*sys.argv[1:])
