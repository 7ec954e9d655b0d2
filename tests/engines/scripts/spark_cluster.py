"""`spark_cluster.py MASTER WORKER_PID DIR`: a run on a cluster, a worker of which is killed while it reads.

The worker leads a process group, executors included. The driver knows no key: only the workers do. The sandbox is here.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyspark.sql import SparkSession

sys.path.insert(0, str(Path(__file__).parents[2]))
from faults import Campaign, Fault, HostileServer
from smspartner_pipelines.spark import SmsPartnerSource, run
from spark_settings import quick_settings

OWN = {
    "spark.executor.memory": "512m",
    "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}
NOW = 1_790_000_000
TAGS = tuple(f"campaign-{number}" for number in range(6))
CAMPAIGNS = [Campaign(tag, 1500, NOW - 720_000, seed=number) for number, tag in enumerate(TAGS, 30)]
PAGE_ROWS = 100
PARTITIONS = 3


def main(master: str, worker: int, directory: str) -> None:
    """Run, and leave facts and rows in the directory."""
    key = Path(directory, "key").read_text(encoding="utf-8")
    with HostileServer(CAMPAIGNS, api_key=key, clock=lambda: NOW, page_size=PAGE_ROWS, latency=0.15) as sandbox:
        spark = SparkSession.builder.master(master).config(map=quick_settings(directory, **OWN)).getOrCreate()
        killed = threading.Event()
        threading.Thread(target=_kill_midway, args=(sandbox, worker, killed), daemon=True).start()
        settings: dict[str, Any] = {"base_url": sandbox.url, "partitions": PARTITIONS, "concurrency": 2, "backoff": 0}
        outcome = run(spark, TAGS, to=str(Path(directory, "dataset")), **settings)
        pages = Counter(f"{record.tag} {record.page or 1}" for record in sandbox.requests)
        facts = {
            "killed": killed.is_set(),
            "exit_code": int(outcome.exit_code),
            "failure": outcome.failure,
            "verdicts": {tag: row["verdict"] for tag, row in outcome.tag_runs.items()},
            "requests_reported": outcome.total("requests"),
            "read_again": sum(times > 1 for times in pages.values()),
            "left": [path.name for path in Path(directory).glob(".dataset.staging*")],
            "refused": _refused(spark, sandbox),
        }
        rows = [row for campaign in CAMPAIGNS for row in campaign.population(NOW)]
        facts["sent"] = len(rows)
        facts["numbers"] = [row["phoneNumber"] for row in rows]
        spark.stop()
    facts["loaded"] = pq.read_table(Path(directory, "dataset", "statuses")).num_rows
    Path(directory, "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def _kill_midway(sandbox: HostileServer, worker: int, killed: threading.Event) -> None:
    """End the worker and its executor, as a machine ends, once both workers have read some pages and not all."""
    first = {tag for place, tag in enumerate(TAGS) if place < len(TAGS) // PARTITIONS * 2}
    while not sandbox.wait(0.01):
        busy = {TAGS.index(record.tag or "") * PARTITIONS // len(TAGS) for record in sandbox.requests}
        if len(busy) > 1 and len(sandbox.requests) > 2 * len(first):
            os.killpg(worker, signal.SIGKILL)
            killed.set()
            return


def _refused(spark: SparkSession, sandbox: HostileServer) -> str:
    """Read from an API that refuses the key and repeats it, and give what the driver is told."""
    sandbox.faults.add(Fault("echo_refusal"))
    spark.dataSource.register(SmsPartnerSource)
    try:
        spark.read.format("smspartner").options(tags=TAGS[0], baseUrl=sandbox.url).load().count()
    except Exception as exc:  # noqa: BLE001  # whatever it is, it is the answer
        return f"{type(exc).__name__}: {exc}"
    return "nothing"


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
