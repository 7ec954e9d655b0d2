"""`spark_local.py DIR`: what Spark does on one machine, with a sandbox of its own; prints facts as JSON.

What it reads is left in DIR as Parquet, beside what the command line loads from the same sandbox.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

sys.path.insert(0, str(Path(__file__).parents[2]))
from faults import Campaign, Fault, HostileServer
from smspartner_pipelines.spark import SmsPartnerSource, run, split, validate
from smspartner_pipelines.spark.jobs import Jobs
from smspartner_pipelines.spark.staging import StagingDirectory
from spark_settings import quick_settings

OWN = {"spark.sql.session.timeZone": "America/New_York", "spark.sql.shuffle.partitions": "2"}
NOW = 1_790_000_000
HOUR = 3600
TAGS = ("settled", "soldes,été", "ripening", "late", "tiny", "empty", "never-sent")
SMALL = tuple(f"small-{number}" for number in range(12))
CAMPAIGNS = (
    Campaign("settled", 2500, NOW - 200 * HOUR, seed=1),
    Campaign("soldes,été", 800, NOW - 150 * HOUR, seed=2),
    Campaign("ripening", 700, NOW - 5 * HOUR, seed=3),
    Campaign("late", 300, NOW - 100 * HOUR, seed=4),
    Campaign("tiny", 3, NOW - 90 * HOUR, seed=5),
    Campaign("empty", 0, NOW - 80 * HOUR, seed=6),
    Campaign("promo-nov", 40, NOW - 200 * HOUR, seed=7),
    Campaign("relance", 20, NOW - 5 * HOUR, seed=8),
    *(Campaign(tag, 2, NOW - 70 * HOUR, seed=number) for number, tag in enumerate(SMALL, 10)),
)


class Local:
    """One session, one sandbox, and a directory for what they give."""

    def __init__(self, spark: SparkSession, sandbox: HostileServer, clock: list[float], directory: Path) -> None:
        self.spark = spark
        self.sandbox = sandbox
        self.clock = clock
        self.directory = directory

    def source(self, tags: tuple[str, ...] = TAGS, **options: Any) -> DataFrame:
        """Give the tags as a frame of the source."""
        asked = "\n".join((*tags, ""))
        return self.spark.read.format("smspartner").options(tags=asked, backoff="0", retries="1", **options).load()

    def run(self, to: str, tags: tuple[str, ...] = TAGS, **settings: Any) -> dict[str, Any]:
        """Run, and give what became of it, and which tags were asked for."""
        self.sandbox.forget_requests()
        outcome = run(self.spark, tags, to=to, **{"backoff": 0, "retries": 1, **settings})
        return {
            "exit_code": int(outcome.exit_code),
            "failure": outcome.failure,
            "verdicts": {tag: row["verdict"] for tag, row in outcome.tag_runs.items()},
            "loaded": outcome.total("rows_loaded"),
            "asked": sorted({record.tag for record in self.sandbox.requests}),
        }

    def command(self, *arguments: str) -> int:
        """Run the command line on the same sandbox, and give its exit code."""
        program = Path(sys.executable).with_name("smspartner")
        return subprocess.run([program, *arguments], check=False, capture_output=True).returncode

    def load(self, name: str, *options: str) -> str:
        """Load the tags by the command line, and give where."""
        to = str(self.directory / name)
        self.command("run", *TAGS, "--to", to, *options)
        return to


def told(act: Callable[[], Any]) -> str:
    """Give what the exception says that an act raises, to the driver."""
    try:
        act()
    except Exception as exc:  # noqa: BLE001  # whatever it is, it is the answer
        return f"{type(exc).__name__}: {exc}"
    return "nothing"


def explained(frame: DataFrame) -> str:
    """Give what Spark prints of its plans."""
    with redirect_stdout(StringIO()) as printed:
        frame.explain(True)
    return printed.getvalue()


def reading(local: Local) -> dict[str, Any]:
    """Read the tables of the source, plainly and hashed, and all of them at once."""
    for name, options in {"plain": {"partitions": "3"}, "hashed": {"phoneNumbers": "hashed"}}.items():
        pq.write_table(local.source(**options).toArrow(), local.directory / f"{name}.parquet")
        local.load(f"command-{name}", "--phone-numbers", name, "--validate", "contract")
    local.sandbox.forget_requests()
    whole = str(local.directory / "everything")
    local.source(table="everything").write.parquet(whole)
    tables = split(local.spark.read.parquet(whole))
    pq.write_table(tables.statuses.toArrow(), local.directory / "split.parquet")
    verdicts = {row.tag: [row.verdict, row.rows_loaded] for row in tables.tag_runs.collect()}
    times = Counter(f"{record.tag} page {record.page}" for record in local.sandbox.requests)
    return {
        "verdicts": verdicts,
        "runs": tables.statuses.select("run_id").union(tables.tag_runs.select("run_id")).distinct().count(),
        "quarantined": tables.quarantine.count(),
        "most_requests_of_a_page": max(times.values()),
        "explained": explained(local.source()),
        "schema": local.source().schema.simpleString(),
    }


def refusing(local: Local) -> dict[str, Any]:
    """Read tags that are not complete, and rows that can't be believed."""
    local.sandbox.faults.add(Fault("short_page", tag="late"))
    incomplete = told(lambda: local.source().count())  # before another task has something to complain of
    local.sandbox.faults.add(Fault("bad_status", tag="ripening"))
    doubted = ("settled", "ripening")
    reported = local.source(table="tag_runs", onIncomplete="report").collect()
    facts = {
        "incomplete": incomplete,
        "reported": {row.tag: [row.verdict, row.reason] for row in reported},
        "rows_reported": local.source(onIncomplete="report").count(),
        "quarantined": told(lambda: local.source(doubted).count()),
        "allowed": local.source(doubted, allowQuarantined="2").count(),
        "quarantine": [
            [row.tag, row.page, row.position, row.reasons]
            for row in local.source(doubted, table="quarantine", allowQuarantined="2").collect()
        ],
    }
    run_facts = local.run(str(local.directory / "lacking"))
    local.sandbox.faults.clear()
    return {**facts, "run": run_facts, "again": local.run(str(local.directory / "lacking"))}


def running(local: Local) -> dict[str, Any]:
    """Run twice on one destination, the second time when some statuses have changed."""
    to = str(local.directory / "dataset")
    context = local.spark.sparkContext
    context.setJobGroup("nightly", "the nightly load")
    first = local.run(to)
    grouped = len(context.statusTracker().getJobIdsForGroup("nightly"))
    local.clock[0] += 60 * HOUR
    second = local.run(to)
    loaded = pq.read_table(f"{to}/statuses").drop_columns(["run_id", "extracted_at"])
    pq.write_table(loaded, local.directory / "second.parquet")  # before others load there
    local.load("command-later", "--validate", "contract")
    lake = local.run(f"delta:{local.directory / 'lake'}", rate="6000/min", validate="contract")
    return {"first": first, "second": second, "lake": lake, "grouped": grouped}


def judging(local: Local) -> dict[str, Any]:
    """Run with a suite of the user's, and validate what was loaded, and what is wrong."""
    kwargs = {"column": "country", "value_set": ["FR", "BE", "CH", "US"]}
    document = {"name": "mine", "expectations": [{"type": "expect_column_values_to_be_in_set", "kwargs": kwargs}]}
    suite = local.directory / "suite.json"
    suite.write_text(json.dumps(document), encoding="utf-8")
    ran = local.run(str(local.directory / "judged"), expectations=str(suite))
    local.load("command-judged", "--expectations", str(suite))
    loaded = local.spark.read.parquet(str(local.directory / "dataset" / "statuses"))
    sound, broken = validate(loaded), validate(_broken(loaded))
    fewer = validate(loaded.drop("country"))
    return {
        "run": ran,
        "sound": [sound.success, dict(sound.failed), len(sound.rules)],
        "broken": [broken.success, dict(broken.failed)],
        "shown": repr([sound, broken, fewer]),
        "fewer": dict(fewer.failed),
        "kept": loaded.storageLevel.useMemory,
    }


def _broken(loaded: DataFrame) -> DataFrame:
    """Give rows with one that has no number, and one that is there twice."""
    few = loaded.orderBy("tag", "phone_number", "occurrence").limit(20).persist()
    return few.union(few.limit(1)).union(few.limit(1).selectExpr("tag", "'0612' as phone_number", *few.columns[2:]))


def erasing(local: Local) -> dict[str, Any]:
    """Erase a person from what was loaded, and read everything again."""
    to = str(local.directory / "dataset")
    number = pq.read_table(f"{to}/statuses")["phone_number"][0].as_py()
    code = local.command("forget", number, "--to", to)
    ran = local.run(to, refresh="all")
    numbers = pq.read_table(f"{to}/statuses")["phone_number"].to_pylist()
    return {"forgotten": code, "run": ran, "left": numbers.count(number)}


def secrets(local: Local) -> dict[str, Any]:
    """Fail in every way in which a URL may come up, and give options where the key does not belong."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
    facts: dict[str, Any] = {
        "unreachable": told(lambda: local.source(baseUrl=nobody).count()),
        "unreachable_run": local.run(str(local.directory / "none"), base_url=nobody),
        "option": told(lambda: local.source(apiKey=os.environ["SMSPARTNER_API_KEY"])),
        "setting": told(lambda: local.run("none", api_key=os.environ["SMSPARTNER_API_KEY"])),
        "typo": told(lambda: local.source(concurency="3")),
    }
    for kind in ("echo_refusal", "echo_message", "cut_body"):
        local.sandbox.faults.add(Fault(kind))
        facts[kind] = told(lambda: local.source().count())
        local.sandbox.faults.clear()
    local.sandbox.faults.add(Fault("echo_refusal", tag="late"))
    facts["refused_run"] = local.run(str(local.directory / "refused"))
    local.sandbox.faults.clear()
    local.spark.conf.set("spark.executorEnv.SMSPARTNER_API_KEY", "not-the-key")
    facts["configured"] = told(lambda: local.run("none"))
    local.spark.conf.unset("spark.executorEnv.SMSPARTNER_API_KEY")
    return facts


def staging(local: Local) -> dict[str, Any]:
    """Stage as a run does, and look at what is there meanwhile."""
    place = local.directory / "staged"
    with Jobs(local.spark, "staging") as jobs, StagingDirectory(local.spark, jobs, place.as_uri()) as directory:
        local.source(table="everything").write.parquet(directory.rows)
        names = [path.name for path in place.rglob("*")]
        mode = oct(place.stat().st_mode & 0o777)
        taken = local.run(str(local.directory / "none"), staging=place.as_uri())
    left = [place.exists(), *Path(tempfile.gettempdir()).glob("smspartner-2*")]
    return {"names": names, "mode": mode, "taken": taken, "left": list(map(str, left))}


def interrupting(local: Local) -> dict[str, Any]:
    """Press Ctrl-C while the tasks read, and go on with the session."""
    local.sandbox.faults.add(Fault("slow", seconds=0.5))

    def press() -> None:
        while not local.sandbox.wait(0.01):
            if len(local.sandbox.requests) > 1:
                os.kill(os.getpid(), signal.SIGINT)
                return

    local.sandbox.forget_requests()
    threading.Thread(target=press, daemon=True).start()
    place = local.directory / "interrupted-staging"
    outcome = run(local.spark, SMALL, to=str(local.directory / "none"), staging=place.as_uri(), validate="contract")
    local.sandbox.faults.clear()
    later = local.source(SMALL[:1]).count()
    return {"exit_code": int(outcome.exit_code), "left": place.exists(), "later": later}


def pacing(local: Local) -> dict[str, Any]:
    """Read with a budget for all tasks together."""
    local.sandbox.forget_requests()
    local.source(SMALL, rate="20/s", partitions="2").count()
    return {"times": sorted(record.time for record in local.sandbox.requests)}


def documented(local: Local) -> dict[str, Any]:
    """Run every block of the page about Spark, one after the other, as a reader does."""
    page = Path(__file__).resolve().parents[3] / "docs" / "spark.md"
    blocks = re.findall(r"```(\w*)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    with redirect_stdout(StringIO()) as printed:
        for _, block in blocks:
            exec(block, names)  # noqa: S102  # that is what the page is for
    return {
        "languages": [language for language, _ in blocks],
        "printed": printed.getvalue(),
        "statuses": names["statuses"].count(),
        "written": local.spark.read.parquet("statuses").count(),
        "loaded": pq.read_table("data/statuses").num_rows,
        "verdicts": sorted([row.tag, row.verdict] for row in names["tag_runs"].collect()),
    }


def main(directory: str) -> None:
    """Do everything, and print the facts."""
    clock = [float(NOW)]
    with HostileServer(
        CAMPAIGNS, api_key=os.environ["SMSPARTNER_API_KEY"], clock=lambda: clock[0], page_size=500
    ) as sandbox:
        os.environ["SMSPARTNER_BASE_URL"] = sandbox.url
        spark = SparkSession.builder.master("local[2]").config(map=quick_settings(directory, **OWN)).getOrCreate()
        spark.dataSource.register(SmsPartnerSource)
        local = Local(spark, sandbox, clock, Path(directory))
        steps = (reading, refusing, running, judging, erasing, secrets, staging, interrupting, pacing, documented)
        facts = {step.__name__: step(local) for step in steps}
        spark.stop()
    Path(directory, "facts.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
