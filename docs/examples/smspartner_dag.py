"""Loads the delivery statuses of the campaigns in a file, every hour. Put this file into Airflow's `dags/`."""

from datetime import datetime, timedelta
from pathlib import Path

from smspartner_pipelines.engines.airflow import smspartner_dag

smspartner_dag(
    "sms_statuses",
    tags=Path("/etc/smspartner/tags.txt"),  # one tag a line, read at every run
    to=["/var/lib/smspartner/data"],
    conn_id="smspartner_default",  # the connection with the API key
    schedule="@hourly",
    start_date=datetime(2026, 1, 1),
    options={"rate": "300/min"},  # of `smspartner run`, by their long names
    retries=3,
    retry_delay=timedelta(minutes=5),
)
