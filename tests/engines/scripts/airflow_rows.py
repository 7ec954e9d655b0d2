"""Load tags through Airflow: airflow_rows.py TAGS_FILE OUT.parquet, in a home of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

DAG = """
from pathlib import Path
from smspartner_pipelines.engines.airflow import smspartner_dag
smspartner_dag("rows", tags=Path({tags!r}), to=[{to!r}], retries=0)
"""


def main(tags: str, to: str) -> None:
    """Run the DAG once."""
    with TemporaryDirectory() as home:
        os.environ |= {"AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        from airflow.__main__ import main as airflow

        sys.argv = ["airflow", "db", "migrate"]
        airflow()
        from airflow.dag_processing.dagbag import DagBag

        file = Path(home) / "dags" / "rows.py"
        file.parent.mkdir()
        file.write_text(DAG.format(tags=str(Path(tags).resolve()), to=str(Path(to).resolve())), encoding="utf-8")
        run = DagBag(file.parent).dags["rows"].test()
        if run.state != "success":
            raise SystemExit(f"the DAG ended as {run.state}")


main(*sys.argv[1:])
