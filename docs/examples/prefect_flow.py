"""Loads the delivery statuses of the campaigns in a file, every hour: `python prefect_flow.py` serves the schedule."""

import json
import os
import subprocess
import tempfile
from datetime import UTC, datetime

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.blocks.system import Secret

TRY_AGAIN = {1, 3, 130}  # exit codes after which the same run may end better


def may_end_better(task, task_run, state) -> bool:
    failure = state.result(raise_on_failure=False)
    code = getattr(failure, "returncode", 0)  # below 0: killed, as when memory runs out
    return isinstance(failure, TimeoutError) or code in TRY_AGAIN or code < 0


@task(retries=3, retry_delay_seconds=300, retry_condition_fn=may_end_better)
def load(tags_file: str, to: str, since: str) -> None:
    command = ["smspartner", "run", "--tags-file", tags_file, "--to", to, "--fresh-since", since, "--json"]
    key = Secret.load("smspartner-api-key").get()  # not a parameter: Prefect shows those
    environment = {**os.environ, "SMSPARTNER_API_KEY": key}
    with tempfile.TemporaryFile("w+") as report:
        with subprocess.Popen(command, env=environment, stdout=report, stderr=subprocess.PIPE, text=True) as process:
            try:
                for line in process.stderr:
                    get_run_logger().info(line.rstrip())
            except BaseException:  # a timeout, or the flow was cancelled
                process.terminate()
                raise
        report.seek(0)
        facts = json.loads(report.read() or "{}")
    create_table_artifact(facts.get("tags", []), key="sms-statuses", description=facts.get("meaning"))
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, "smspartner run")


@flow(name="sms-statuses")
def sms_statuses(tags_file: str = "/etc/smspartner/tags.txt", to: str = "/var/lib/smspartner/data") -> None:
    load(tags_file, to, since=datetime.now(UTC).isoformat())  # a retry goes on from there


if __name__ == "__main__":
    sms_statuses.serve(name="hourly", cron="5 * * * *", global_limit=1)  # one run at a time
