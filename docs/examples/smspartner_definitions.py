"""Loads the delivery statuses of the campaigns in a file, every hour: `dg dev -f smspartner_definitions.py`."""

from pathlib import Path

import dagster as dg
from smspartner_pipelines.engines.dagster import smspartner_asset

statuses = smspartner_asset(
    "statuses",
    tags=Path("/etc/smspartner/tags.txt"),  # one tag a line, read at every run
    to=["/var/lib/smspartner/data"],
    options={"rate": "300/min"},  # of `smspartner run`, by their long names
    max_retries=3,
    retry_delay=300,  # seconds
    group_name="sms",
)


@dg.asset(deps=[statuses], group_name="sms")
def campaign_report(context: dg.AssetExecutionContext) -> None:
    """Runs only when every tag is complete."""
    context.log.info("all tags are complete")


hourly = dg.ScheduleDefinition(name="hourly", target="*", cron_schedule="5 * * * *")
defs = dg.Definitions(assets=[statuses, campaign_report], schedules=[hourly])
