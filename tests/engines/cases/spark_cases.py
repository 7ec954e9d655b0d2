"""The data source of Spark, in one session on this machine, which reads from a server of its own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faults import Campaign, Fault, HostileServer
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from shared import HOME, blocks
from smspartner import Connection, Secret, parse_rate
from smspartner.errors import SmsPartnerError
from smspartner_pipelines.engines.spark import SmsPartnerReader, SmsPartnerSource

KEY = os.environ["SMSPARTNER_API_KEY"]
LONG_AGO = 1_690_000_000
SIZES = {"large": 2500, "soldes,été": 800, "tiny": 3, "late": 300, "empty": 0}
ODD = [
    {"phoneNumber": "06 39 98 00 01", "statut": "delivered", "stopSms": "1", "date": "2023-11-14 23:13:20"},
    {"phoneNumber": "+33639980002", "status": "ko", "stopSMS": False, "date": ""},
]
CAMPAIGNS = (
    *(Campaign(tag, size, LONG_AGO, seed=size) for tag, size in SIZES.items()),
    Campaign("promo-nov", 40, LONG_AGO, seed=6),
    Campaign("relance", 20, LONG_AGO, seed=7),
    Campaign.of_rows("odd", [*ODD, ODD[0]]),
)
TAGS = (*SIZES, "odd", "never-sent")
Read = Callable[..., DataFrame]


@pytest.fixture(scope="module")
def server() -> Iterator[HostileServer]:
    """An API that the environment leads to."""
    with HostileServer(CAMPAIGNS, api_key=KEY, page_size=500) as running:
        os.environ |= {"SMSPARTNER_BASE_URL": running.url, "PYSPARK_PYTHON": sys.executable}
        yield running


@pytest.fixture(scope="module")
def spark(server: HostileServer) -> Iterator[SparkSession]:
    """A session that logs its events, far from Paris."""
    (HOME / "events").mkdir()
    settings = {
        "spark.ui.enabled": "false",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": (HOME / "events").as_uri(),
        "spark.eventLog.compress": "false",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",  # compiling pays for itself in longer jobs
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.session.timeZone": "America/New_York",
        "spark.sql.shuffle.partitions": "2",
    }
    session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    session.dataSource.register(SmsPartnerSource)
    yield session
    session.stop()


@pytest.fixture
def read(spark: SparkSession, server: HostileServer) -> Iterator[Read]:
    """Give tags as a frame of the source; faults end with the case."""

    def frame(*tags: str, **options: Any) -> DataFrame:
        asked = "\n".join((*tags, ""))
        return spark.read.format("smspartner").options(tags=asked, backoff="0", retries="1", **options).load()

    yield frame
    server.faults.clear()


def rows(path: Path) -> list[dict[str, Any]]:
    """Read rows of statuses, without what belongs to their run, in an order of their own."""
    table = pq.read_table(path).drop_columns(["run_id", "extracted_at"])
    plain = table.cast(pa.schema([(one.name, getattr(one.type, "value_type", one.type)) for one in table.schema]))
    return plain.sort_by([(name, "ascending") for name in ("tag", "phone_number", "occurrence")]).to_pylist()


def test_spark_reads_what_the_command_line_loads(read: Read) -> None:
    """Schema and rows are the same in every column but the run's own, whatever the session's time zone."""
    frame = read(*TAGS, phoneNumbers="hashed", tasks=3)
    assert frame.schema.simpleString() == (
        "struct<tag:string,phone_number:string,occurrence:int,country:string,status:string,stop_sms:boolean,"
        "status_at:timestamp,extracted_at:timestamp,run_id:string>"
    )
    pq.write_table(frame.toArrow(), HOME / "read.parquet")
    command = [Path(sys.executable).with_name("smspartner"), "run", *TAGS, "--to", HOME / "loaded"]
    subprocess.run([*command, "--validate", "contract", "--phone-numbers", "hashed", "--quiet"], check=True)
    expected = rows(HOME / "loaded" / "statuses")
    assert len(expected) == sum(SIZES.values()) + 3
    assert rows(HOME / "read.parquet") == expected
    frame.explain(extended=True)  # printed, where keys and numbers are looked for


def test_verdicts_are_a_table(read: Read) -> None:
    """`tag_runs` gives the verdict and the rows of each tag, all under one run."""
    found = read(*TAGS, table="tag_runs").collect()
    complete = {tag: ("complete", size) for tag, size in {**SIZES, "odd": 3}.items()}
    assert {row.tag: (row.verdict, row.rows_loaded) for row in found} == {**complete, "never-sent": ("unknown", 0)}
    assert len({row.run_id for row in found}) == 1


def test_a_read_fails_for_a_tag_that_is_not_complete(read: Read, server: HostileServer) -> None:
    """Nobody computes with half a tag: the action names tag, verdict and reason; asked to report, it goes on."""
    server.faults.add(Fault("html", tag="late"))
    for table in ("statuses", "quarantine"):
        with pytest.raises(PySparkException, match=r"NotComplete: not every tag is complete: late: failed \("):
            read("tiny", "late", table=table).count()
    assert read("tiny", "late", onIncomplete="report").count() == 3
    verdicts = read("tiny", "late", table="tag_runs").collect()
    assert {row.tag: row.verdict for row in verdicts} == {"tiny": "complete", "late": "failed"}


def test_a_read_fails_for_rows_in_quarantine(read: Read, server: HostileServer) -> None:
    """Rows that are not valid fail the read, unless so many are allowed; the table `quarantine` holds them."""
    server.faults.add(Fault("bad_status", tag="late"))
    with pytest.raises(PySparkException, match=r"QuarantinedRows: 1 rows are not valid \(late: 1\)"):
        read("tiny", "late").count()
    assert read("tiny", "late", allowQuarantined=1).count() == 302
    held = read("tiny", "late", table="quarantine").collect()
    assert [(row.tag, row.page, row.reasons) for row in held] == [("late", 1, ["status_unknown"])]


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("apiKey", KEY, "there is no option apiKey; give tags,"),
        ("path", "x", "there is no option path"),
        ("concurrency", KEY, "the value of the option concurrency is not understood"),
        ("table", "rows", "the value of the option table is not understood"),
        ("tasks", "-1", "the value of the option tasks is not understood"),
        ("rate", "fast", "the rate is not a number of requests"),
        ("baseUrl", "http://example.org", "plain HTTP shows the API key"),
        ("phoneNumbers", "secret", "the value of the option phoneNumbers is not understood"),
        ("onIncomplete", "ignore", "the value of the option onIncomplete is not understood"),
        ("tags", "has space", "holds U\\+0020"),
    ],
)
def test_wrong_options_are_refused(option: str, value: str, sentence: str) -> None:
    """An option for the key, or that nobody knows, or a value that can't be, is refused before any request."""
    with pytest.raises(SmsPartnerError, match=sentence) as refused:
        SmsPartnerSource({"tags": "a", option: value}).schema()
    assert KEY not in str(refused.value)


def test_failures_are_the_products_own(read: Read, spark: SparkSession, server: HostileServer) -> None:
    """What a task or the planner raises names what is wrong, also through Spark, which shows it everywhere."""
    with pytest.raises(PySparkException, match="there is no option apikey; give tags,"):
        spark.read.format("smspartner").options(tags="a", apiKey=KEY).load()
    with pytest.raises(PySparkException, match=r"NotComplete: not every tag is complete: tiny: failed \("):
        read("tiny", baseUrl="http://127.0.0.1:9/v1").count()
    server.faults.add(Fault("echo_refusal"))
    with pytest.raises(PySparkException, match="AccessRefused: the API answered code 10"):
        read("tiny", "late").count()


def test_all_tasks_share_one_budget() -> None:
    """Rate and concurrency are for the whole read, however many tasks it has; there are never more than tags."""
    connection = Connection(Secret("a-key-of-nobody"), "http://127.0.0.1:9/v1", rate=parse_rate("300/min"))
    tasks = [one.value for one in SmsPartnerReader({"tags": ("a", "b", "c", "d"), "tasks": 3}).partitions()]
    shares = [task.share(connection) for task in tasks]
    assert [task.tags for task in tasks] == [("a", "d"), ("b",), ("c",)]
    assert [(str(share.rate), share.concurrency) for share in shares] == [("100/min", n) for n in (3, 3, 2)]
    assert replace(tasks[0], tasks=20).share(connection).concurrency == 1
    assert len(SmsPartnerReader({"tags": ("a", "b"), "tasks": 0}).partitions()) == 2


def test_the_page_does_what_it_says(spark: SparkSession, server: HostileServer) -> None:
    """A write replaces whole tags and leaves the others; one whose read fails changes nothing; verdicts are shown."""
    first, write, verdicts = blocks("spark.md", "python")
    names: dict[str, Any] = {}

    def held() -> dict[str, int]:
        return {row.tag: row["count"] for row in spark.read.parquet("statuses").groupBy("tag").count().collect()}

    with redirect_stdout(io.StringIO()) as printed:
        for block in (first, write, verdicts):
            exec(block, names)  # noqa: S102  # that is what the page is for
    assert "never-sent|unknown" in printed.getvalue().replace(" ", "")
    assert held() == {"promo-nov": 40, "relance": 20}
    server.faults.add(Fault("echo_refusal", tag="relance"))
    with pytest.raises(PySparkException, match="AccessRefused"):
        exec(write, names)  # noqa: S102
    server.faults.clear()
    assert held() == {"promo-nov": 40, "relance": 20}
    server.set_campaign(Campaign("relance", 25, LONG_AGO, seed=8))
    exec(write.replace("promo-nov,relance", "relance"), names)  # noqa: S102
    assert held() == {"promo-nov": 40, "relance": 25}
