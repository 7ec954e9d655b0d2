"""The data source of Spark, in one session that `scripts/spark_steps.py` uses; what it found out is judged here."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

KEY = "s3cret/key+é&1"
PHONE_KEY = "a phone key for these tests"


class Ran:
    """The script has run: the facts it found, and where it left its files."""

    def __init__(self, process: subprocess.CompletedProcess[str], directory: Path) -> None:
        assert process.returncode == 0, process.stderr[-20_000:]  # the JVM logs after the traceback
        self.process = process
        self.directory = directory
        self.facts: dict[str, Any] = json.loads((directory / "facts.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def ran(engine: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """What Spark does, found out once."""
    directory = tmp_path_factory.mktemp("spark")
    secrets = {"SMSPARTNER_API_KEY": KEY, "SMSPARTNER_PHONE_KEY": PHONE_KEY}
    return Ran(engine("spark", directory, "spark_steps.py", directory, **secrets), directory)


def rows(path: Path) -> list[dict[str, Any]]:
    """Read rows of statuses, without what belongs to their run, in an order of their own."""
    table = pq.read_table(path).drop_columns(["run_id", "extracted_at"])
    plain = table.cast(pa.schema([(one.name, getattr(one.type, "value_type", one.type)) for one in table.schema]))
    return plain.sort_by([(name, "ascending") for name in ("tag", "phone_number", "occurrence")]).to_pylist()


def test_spark_reads_what_the_command_line_loads(ran: Ran) -> None:
    """The rows are the same in every column but the run's own, whatever the session's time zone."""
    expected = rows(ran.directory / "loaded" / "statuses")
    assert len(expected) == 2500 + 800 + 3 + 300 + 3
    assert rows(ran.directory / "read.parquet") == expected


def test_the_schema_is_the_contracts(ran: Ran) -> None:
    """Times are instants; there are no dictionaries."""
    assert ran.facts["reading"]["schema"] == (
        "struct<tag:string,phone_number:string,occurrence:int,country:string,status:string,stop_sms:boolean,"
        "status_at:timestamp,extracted_at:timestamp,run_id:string>"
    )


def test_verdicts_are_a_table(ran: Ran) -> None:
    """`tag_runs` gives the verdict and the rows of each tag, all under one run."""
    sizes = {"large": 2500, "soldes,été": 800, "tiny": 3, "late": 300, "odd": 3, "empty": 0}
    expected = {tag: ["complete", size] for tag, size in sizes.items()} | {"never-sent": ["unknown", 0]}
    assert (ran.facts["reading"]["verdicts"], ran.facts["reading"]["runs"]) == (expected, 1)


def test_a_read_fails_for_a_tag_that_is_not_complete(ran: Ran) -> None:
    """Nobody computes with half a tag: the action names tag, verdict and reason; asked to report, it goes on."""
    found = ran.facts["refusing"]
    for name in ("incomplete", "unknown quarantine"):
        assert "NotComplete: not every tag is complete: late: failed (" in found[name]
    assert found["reported"] == 3
    assert sorted(found["verdicts"]) == [["late", "failed"], ["tiny", "complete"]]


def test_a_read_fails_for_rows_in_quarantine(ran: Ran) -> None:
    """Rows that are not valid fail the read, unless so many are allowed; the table `quarantine` holds them."""
    found = ran.facts["refusing"]
    assert "QuarantinedRows: 1 rows are not valid (late: 1)" in found["quarantined"]
    assert (found["allowed"], found["quarantine"]) == (302, [["late", 1, ["status_unknown"]]])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("option key", "there is no option apikey; give tags,"),
        ("option typo", "there is no option concurency"),
        ("option path", "there is no option path"),
        ("option concurrency", "the value of the option concurrency is not understood"),
        ("option table", "the value of the option table is not understood"),
        ("option tasks", "the value of the option tasks is not understood"),
        ("option rate", "the rate is not a number of requests"),
        ("option url", "plain HTTP shows the API key"),
        ("option form", "the value of the option phoneNumbers is not understood"),
        ("option policy", "the value of the option onIncomplete is not understood"),
        ("option tags", "TagError"),
        ("unreachable", "NotComplete: not every tag is complete: tiny: failed ("),
        ("echo_refusal", "AccessRefused: the API answered code 10"),
    ],
)
def test_what_is_wrong_is_said(ran: Ran, name: str, sentence: str) -> None:
    """An option for the key, or that nobody knows, is refused before any request; failures are the product's own."""
    assert sentence in ran.facts["failing"][name]


def test_all_tasks_share_one_budget(ran: Ran) -> None:
    """Rate and concurrency are for the whole read, however many tasks it has; there are never more than tags."""
    found = ran.facts["sharing"]
    assert (found["tags"], found["rates"]) == ([["a", "d"], ["b"], ["c"]], ["100/min"] * 3)
    assert (found["concurrency"], found["at least"], found["most"]) == ([3, 3, 2], 1, 2)


def test_the_page_does_what_it_says(ran: Ran) -> None:
    """A write replaces whole tags and leaves the others; one whose read fails changes nothing; verdicts are shown."""
    found = ran.facts["documented"]
    before = [["promo-nov", 40], ["relance", 20]]
    assert found["held"] == [before, before, [["promo-nov", 40], ["relance", 25]]]
    assert "AccessRefused" in found["failed"]
    assert "never-sent|unknown" in found["printed"].replace(" ", "")


def test_neither_key_nor_number_is_written_down(ran: Ran, leaks: Callable[..., list[str]]) -> None:
    """Plans, event log, exceptions, output of driver and tasks show neither, also when the API repeats the key."""
    texts = {"stdout": ran.process.stdout, "stderr": ran.process.stderr}
    assert any((ran.directory / "events").rglob("*"))
    assert leaks(ran.directory, texts, KEY, PHONE_KEY, without=r"\.parquet|/(loaded|statuses)/") == []
