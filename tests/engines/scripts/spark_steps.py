"""`spark_steps.py DIR`: what Spark does on one machine, in one session with its own server; writes DIR/facts.json.

What it reads is left in DIR as Parquet, beside what the command line loads from the same server.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

sys.path.insert(0, str(Path(__file__).parents[2]))
from faults import Campaign, Fault, HostileServer
from smspartner import Connection, Secret, parse_rate
from smspartner_pipelines.engines.spark import SmsPartnerReader, SmsPartnerSource

LONG_AGO = 1_690_000_000
TAGS = ("large", "soldes,été", "tiny", "empty", "never-sent", "odd", "late")
ODD = [
    {"phoneNumber": "06 39 98 00 01", "statut": "delivered", "stopSms": "1", "date": "2023-11-14 23:13:20"},
    {"phoneNumber": "+33639980002", "status": "ko", "stopSMS": False, "date": ""},
]
CAMPAIGNS = (
    Campaign("large", 2500, LONG_AGO, seed=1),
    Campaign("soldes,été", 800, LONG_AGO, seed=2),
    Campaign("tiny", 3, LONG_AGO, seed=3),
    Campaign("empty", 0, LONG_AGO, seed=4),
    Campaign("late", 300, LONG_AGO, seed=5),
    Campaign("promo-nov", 40, LONG_AGO, seed=6),
    Campaign("relance", 20, LONG_AGO, seed=7),
    Campaign.of_rows("odd", [*ODD, ODD[0]]),
)


class Local:
    """One session, one server, and a directory for what they give."""

    def __init__(self, spark: SparkSession, server: HostileServer, directory: Path) -> None:
        self.spark = spark
        self.server = server
        self.directory = directory

    def source(self, tags: tuple[str, ...] = TAGS, **options: Any) -> DataFrame:
        """Give the tags as a frame of the source."""
        asked = "\n".join((*tags, ""))
        return self.spark.read.format("smspartner").options(tags=asked, backoff="0", retries="1", **options).load()


def said(act: Callable[[], Any]) -> str:
    """Give what the exception says that an act raises, to the driver."""
    try:
        act()
    except Exception as exc:  # noqa: BLE001  # that is the answer
        return f"{type(exc).__name__}: {exc}"
    return "nothing"


def reading(local: Local) -> dict[str, Any]:
    """Read tags, with hashed numbers, and load them by the command line."""
    frame = local.source(phoneNumbers="hashed", tasks=3)
    pq.write_table(frame.toArrow(), local.directory / "read.parquet")
    command = [Path(sys.executable).with_name("smspartner"), "run", *TAGS, "--to", local.directory / "loaded"]
    subprocess.run([*command, "--validate", "contract", "--phone-numbers", "hashed", "--quiet"], check=True)
    verdicts = local.source(table="tag_runs").collect()
    with redirect_stdout(io.StringIO()) as explained:
        frame.explain(extended=True)
    return {
        "schema": frame.schema.simpleString(),
        "verdicts": {row.tag: [row.verdict, row.rows_loaded] for row in verdicts},
        "runs": len({row.run_id for row in verdicts}),
        "explained": explained.getvalue(),
    }


def refusing(local: Local) -> dict[str, Any]:
    """Read tags that are not complete, and rows that are not valid."""
    two = ("tiny", "late")
    local.server.faults.add(Fault("bad_status", tag="late"))
    facts: dict[str, Any] = {
        "quarantined": said(lambda: local.source(two).count()),
        "allowed": local.source(two, allowQuarantined=1).count(),
        "quarantine": [[row.tag, row.page, row.reasons] for row in local.source(two, table="quarantine").collect()],
    }
    local.server.faults.clear()
    local.server.faults.add(Fault("html", tag="late"))
    facts |= {
        "incomplete": said(lambda: local.source(two).count()),
        "unknown quarantine": said(lambda: local.source(two, table="quarantine").count()),
        "reported": local.source(two, onIncomplete="report").count(),
        "verdicts": [[row.tag, row.verdict] for row in local.source(two, table="tag_runs").collect()],
    }
    local.server.faults.clear()
    return facts


def failing(local: Local) -> dict[str, Any]:
    """Fail in the ways in which a URL may come up, and give options that are none."""
    key = os.environ["SMSPARTNER_API_KEY"]
    local.server.faults.add(Fault("echo_refusal"))
    facts = {"echo_refusal": said(lambda: local.source(("tiny", "late")).count())}
    local.server.faults.clear()
    through_spark = local.spark.read.format("smspartner").options(tags="a", apiKey=key)
    facts["option key"] = said(through_spark.load)
    wrong = {
        "typo": {"concurency": "3"},
        "path": {"path": "x"},
        "concurrency": {"concurrency": key},
        "table": {"table": "rows"},
        "tasks": {"tasks": "-1"},
        "rate": {"rate": "fast"},
        "url": {"baseUrl": "http://example.org"},
        "form": {"phoneNumbers": "secret"},
        "policy": {"onIncomplete": "ignore"},
        "tags": {"tags": "has space"},
    }
    for name, options in wrong.items():
        facts[f"option {name}"] = said(SmsPartnerSource({"tags": "a", **options}).schema)
    nobody = local.source(("tiny",), baseUrl="http://127.0.0.1:9/v1")
    return {**facts, "unreachable": said(nobody.count)}


def sharing(_local: Local) -> dict[str, Any]:
    """Divide a budget among the tasks of a read."""
    connection = Connection(Secret("a-key-of-nobody"), "http://127.0.0.1:9/v1", rate=parse_rate("300/min"))
    tasks = SmsPartnerReader({"tags": ("a", "b", "c", "d"), "tasks": 3}).partitions()
    shares = [task.value.share(connection) for task in tasks]
    few = SmsPartnerReader({"tags": ("a", "b"), "tasks": 0}).partitions()
    return {
        "tags": [task.value.tags for task in tasks],
        "rates": [str(share.rate) for share in shares],
        "concurrency": [share.concurrency for share in shares],
        "at least": replace(few[0].value, tasks=20).share(connection).concurrency,
        "most": len(few),
    }


def documented(local: Local) -> dict[str, Any]:
    """Run every Python block of the page about Spark, one after the other, as a reader does, twice."""
    page = Path(__file__).resolve().parents[3] / "docs" / "spark.md"
    blocks = re.findall(r"spark_steps.py -->\n```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    with redirect_stdout(io.StringIO()) as printed:
        for block in blocks:
            exec(block, names)  # noqa: S102  # that is what the page is for
        held = [tags_held(local)]
        local.server.faults.add(Fault("echo_refusal", tag="relance"))
        failed = said(lambda: exec(blocks[1], names))  # noqa: S102
        local.server.faults.clear()
        held.append(tags_held(local))
        local.server.set_campaign(Campaign("relance", 25, LONG_AGO, seed=8))
        exec(blocks[1].replace("promo-nov,relance", "relance"), names)  # noqa: S102
        held.append(tags_held(local))
    return {"held": held, "failed": failed, "printed": printed.getvalue()}


def tags_held(local: Local) -> list[list[Any]]:
    """Count the rows of each tag in the table that the page writes."""
    return sorted(map(list, local.spark.read.parquet("statuses").groupBy("tag").count().collect()))


def main(directory: str) -> None:
    """Do everything, and write the facts."""
    events = Path(directory, "events")
    events.mkdir()
    settings = {
        "spark.ui.enabled": "false",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": events.as_uri(),
        "spark.eventLog.compress": "false",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",  # compiling pays for itself in longer jobs
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.session.timeZone": "America/New_York",
        "spark.sql.shuffle.partitions": "2",
    }
    os.environ["PYSPARK_PYTHON"] = sys.executable
    with HostileServer(CAMPAIGNS, api_key=os.environ["SMSPARTNER_API_KEY"], page_size=500) as server:
        os.environ["SMSPARTNER_BASE_URL"] = server.url
        spark = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
        spark.dataSource.register(SmsPartnerSource)
        local = Local(spark, server, Path(directory))
        facts = {step.__name__: step(local) for step in (reading, refusing, failing, sharing, documented)}
        spark.stop()
    Path(directory, "facts.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
