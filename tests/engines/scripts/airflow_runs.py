"""Run DAGs of AIRFLOW_HOME one after the other in this process: airflow_runs.py [DAG_ID[=TAGS]]...

TAGS go into `tags.txt`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main(wanted: list[str]) -> None:
    """Make the database as users make it, and run the DAGs as `airflow dags test` does."""
    from airflow.__main__ import main as airflow

    sys.argv = ["airflow", "db", "migrate"]
    airflow()
    from airflow.dag_processing.dagbag import DagBag

    home = Path(os.environ["AIRFLOW_HOME"])
    bag = DagBag(home / "dags")
    if bag.import_errors:
        raise SystemExit(f"{bag.import_errors}")
    for name in wanted:
        dag_id, _, tags = name.partition("=")
        if tags:
            (home / "tags.txt").write_text(tags.replace(",", "\n"), encoding="utf-8")
        bag.dags[dag_id].test()


main(sys.argv[1:])
