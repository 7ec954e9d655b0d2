"""`smspartner validate`: what is loaded is judged, and the result is exit code, page and JSON, without a number."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from smspartner.redaction import find_numbers
from smspartner_pipelines.reading import open_loaded
from smspartner_pipelines.sandbox import Campaign
from smspartner_pipelines.validate import validate_loaded
from smspartner_schemas.contract import STATUSES
from smspartner_schemas.rules import suite

NUMBER = "+33639980001"
RULES = [entry["meta"]["rule"] for entry in suite()["expectations"]]


@pytest.fixture
def sandbox(start_sandbox, api_row):
    """Serve two tags, one of them with a row that is not valid."""
    first = [api_row(1, stopSMS=True), api_row(2, status="Waiting"), api_row(3)]
    second = [api_row(1), api_row(4, status="Perhaps"), api_row(2)]
    return start_sandbox([Campaign.of_rows("first", first), Campaign.of_rows("second", second)])


@pytest.fixture
def load(sandbox, command):
    """Load both tags into a destination."""

    def run(uri: str, *arguments: str, **changes: str) -> None:
        ended = command(sandbox, "run", "first", "second", "--to", uri, "--quiet", *arguments, **changes)
        assert ended.returncode == 4, ended.stderr

    return run


@pytest.fixture
def validate(command):
    """Validate a destination; give exit code and document."""

    def run(uri: str, *arguments: str) -> tuple[int, dict[str, Any]]:
        ended = command(None, "validate", uri, "--json", *arguments)
        assert ended.stdout, ended.stderr
        return ended.returncode, json.loads(ended.stdout)

    return run


def file_of(dataset: Path, tag: str, folder: str = "statuses") -> Path:
    """Find a tag's file."""
    (path,) = (dataset / folder).glob(f"{tag}-*.parquet")
    return path


def edit(dataset: Path, tag: str, change: Callable[[pa.Table], pa.Table], folder: str = "statuses") -> None:
    """Change a tag's file as somebody would who keeps its metadata."""
    path = file_of(dataset, tag, folder)
    table = pq.read_table(path, partitioning=None)
    metadata = {key: value for key, value in pq.read_metadata(path).metadata.items() if key.startswith(b"smspartner")}
    pq.write_table(change(table).replace_schema_metadata(metadata), path)


def with_values(column: str, values: list[Any]) -> Callable[[pa.Table], pa.Table]:
    """Make a change that gives a column other values."""

    def change(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index(column)
        field = table.schema.field(column)
        plain = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        return table.set_column(place, field, pa.array(values, plain).cast(field.type))

    return change


def findings(document: dict[str, Any]) -> list[tuple[str, str, int | None]]:
    """Give which tag breaks what, in how many rows."""
    return [(one["tag"], one["rule"], one["rows"]) for one in document["findings"]]


def phone_numbers_in(folder: Path) -> list[str]:
    """Find what may be a phone number of the tests in any file, however it is written."""
    texts = [path.read_text(encoding="utf-8") for path in folder.iterdir()]
    return [found for text in texts for found in find_numbers(text) if "39980" in re.sub(r"\D", "", found)]


def all_sound(code: int, document: dict[str, Any]) -> bool:
    """Whether everything was judged and holds: two tags with five rows, one more in quarantine."""
    counts = [document[name] for name in ("tags", "rows", "quarantined", "rows_failed", "findings")]
    rules = [one["rule"] for one in document["expectations"] if one["success"]]
    return (code, counts, rules, document["success"]) == (0, [2, 5, 1, 0, []], RULES, True)


@pytest.mark.parametrize("form", ["plain", "masked", "hashed"])
def test_sound_dataset(load, validate, here, form):
    """What a run has loaded holds, whatever the form of its numbers; nothing in the destination is touched."""
    load("data", "--phone-numbers", form, SMSPARTNER_PHONE_KEY="a key of the tests")
    before = {path: path.read_bytes() for path in (here / "data").rglob("*") if path.is_file()}
    code, document = validate("data")
    assert all_sound(code, document)
    assert document["phone_numbers"] == {form: 2}
    assert before == {path: path.read_bytes() for path in (here / "data").rglob("*") if path.is_file()}
    assert phone_numbers_in(here / "validation") == []


def test_sound_databases_lakes_and_stores(load, validate, warehouse, bucket):
    """What a run has loaded into a database, a Delta lake or an object store holds."""
    for uri in (warehouse.uri, f"{bucket.uri}/data"):
        load(uri)
        assert all_sound(*validate(uri))


def test_two_forms_in_one_destination(load, sandbox, command, validate):
    """Tags whose numbers are in different forms are judged each by its own."""
    load("data")
    command(sandbox, "run", "first", "--to", "data", "--phone-numbers", "masked", "--quiet", "--refresh", "all")
    code, document = validate("data")
    matches = {one["phone_numbers"]: one["rows_checked"] for one in document["expectations"]}
    assert (code, document["phone_numbers"], matches) == (0, {"masked": 1, "plain": 1}, {"masked": 3, "plain": 2})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (with_values("country", ["FR", "France", "FR"]), [("first", "country_matches", 1)]),
        (
            lambda table: pa.concat_tables([table.slice(0, 1), table.slice(0, 1), table.slice(1, 1)]),
            [("first", "counts_as_loaded", None), ("first", "primary_key_unique", 2)],
        ),
        (lambda table: table.slice(1), [("first", "readable", None)]),
        (lambda table: table.drop_columns(["country"]), [("first", "readable", None)]),
        (with_values("run_id", ["other"] * 3), [("first", "rows_of_one_run", None)]),
        (with_values("status", ["delivered"] * 3), [("first", "counts_as_loaded", None)]),
        (with_values("stop_sms", [True] * 3), [("first", "counts_as_loaded", None)]),
        (
            with_values("phone_number", [NUMBER, NUMBER + "x", "0639980003"]),
            [("first", "phone_number_matches", 2)],
        ),
        (
            with_values("tag", ["first", "stray", "first"]),
            [("stray", "rows_of_loaded_tags", None), ("first", "counts_as_loaded", None)],
        ),
    ],
)
def test_edited_file(load, validate, here, change, expected):
    """A file that somebody has changed is found, tag and rule, and the other tag is judged all the same."""
    load("data")
    edit(here / "data", "first", change)
    code, document = validate("data")
    assert (code, findings(document), document["success"]) == (4, expected, False)
    assert document["expectations"][0]["rows_checked"] == document["rows"] >= 2
    assert phone_numbers_in(here / "validation") == []


def damage(path: Path) -> None:
    """Cut a file."""
    path.write_bytes(path.read_bytes()[:100])


def spoil_erasure(data: Path) -> None:
    """Leave a record of an erased person that can't be read; no run goes on without it."""
    (data / "erasures").mkdir(exist_ok=True)
    (data / "erasures" / "record.parquet").write_text("{")


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (lambda data: damage(file_of(data, "first")), {"readable"}),
        (lambda data: file_of(data, "first").write_bytes(b""), {"readable"}),
        (lambda data: file_of(data, "first").unlink(), {"loaded_tag_is_there"}),
        (lambda data: damage(next((data / "tag_runs").glob("*.parquet"))), {"readable"}),
        (lambda data: damage(file_of(data, "second", "quarantine")), {"readable"}),
        (lambda data: file_of(data, "second", "quarantine").unlink(), None),
        (spoil_erasure, {"readable"}),
    ],
)
def test_damage(load, validate, here, harm, expected):
    """A file that can't be read, or is gone, is a finding (exit 4), and all else is judged."""
    load("data")
    harm(here / "data")
    code, document = validate("data")
    rules = {one["rule"] for one in document["findings"]}
    assert code == 4
    assert rules == expected if expected else rules
    assert document["rows"] >= 2


def test_an_older_file_put_back(load, sandbox, command, validate, here):
    """A tag's file from an older run than the newest that loaded the tag is noticed."""
    load("data")
    path = file_of(here / "data", "first")
    old = path.read_bytes()
    command(sandbox, "run", "first", "--to", "data", "--quiet", "--refresh", "all")
    path.write_bytes(old)
    assert findings(validate("data")[1]) == [("first", "loaded_tag_is_there", None)]


def test_rows_changed_in_a_database(load, validate, tmp_path):
    """Rows that somebody has changed in a database are found, with the numbers of rows as they are."""
    uri = f"duckdb:{tmp_path / 'x.duckdb'}"
    load(uri)
    with duckdb.connect(tmp_path / "x.duckdb") as connection:
        connection.execute("UPDATE statuses SET status = 'ko' WHERE tag = 'first' AND status = 'delivered'")
        connection.execute("UPDATE loaded_tags SET delivered = 1234567, rows_received = 100100 WHERE tag = 'second'")
    code, document = validate(uri)
    assert code == 4
    assert [(one["tag"], one["rule"], one["what"]) for one in document["findings"]] == [
        ("first", "counts_as_loaded", "delivered is 0, and 2 were loaded; ko is 2, and 0 were loaded"),
        ("second", "counts_as_loaded", "delivered is 2, and 1,234,567 were loaded"),
        ("second", "counts_add_up", "2 + 1 + 0 is not 100,100"),
    ]


def expectations(here: Path, *entries: dict[str, Any]) -> tuple[str, str]:
    """Write a suite, and give the arguments that name it."""
    (here / "mine.json").write_text(json.dumps({"name": "mine", "expectations": entries}), encoding="utf-8")
    return "--expectations", "mine.json"


def test_own_expectations(load, validate, here):
    """Expectations of one's own are judged row by row, or tag by tag; numbers in them are not repeated."""
    load("duckdb:x.duckdb")
    with duckdb.connect("x.duckdb") as connection:  # rows of several tags lie mixed
        connection.execute("CREATE TEMP TABLE mixed AS SELECT * FROM statuses")
        connection.execute("DELETE FROM statuses")
        connection.execute("INSERT INTO statuses SELECT * FROM mixed ORDER BY phone_number, tag")
    kwargs = {"column": "phone_number", "value_set": ["+33639980003"]}
    by_row = {"type": "expect_column_values_to_not_be_in_set", "kwargs": kwargs, "meta": {"rule": f"not {NUMBER}"}}
    by_tag = {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 3}, "meta": {"rule": "three"}}
    code, document = validate("duckdb:x.duckdb", *expectations(here, by_row, by_tag))
    assert (code, document["user_suite"]) == (4, "mine.json")
    assert sorted(findings(document)) == [("first", "not ***", 1), ("second", "three", None)]
    assert phone_numbers_in(here / "validation") == []


def test_a_run_meanwhile_is_no_fault(load, sandbox, command):
    """A tag that is loaded anew between the reading of its counts and of its rows is not a finding."""

    class Meanwhile:
        def __init__(self, destination: Any) -> None:
            self._destination = destination

        def __getattr__(self, name: str) -> Any:
            return getattr(self._destination, name)

        def scan(self, table: Any, columns: Any) -> Any:
            if table is STATUSES:
                command(sandbox, "run", "second", "--to", "data", "--quiet", "--refresh", "all")
            return self._destination.scan(table, columns)

    load("data")
    with open_loaded("data") as destination:
        document = validate_loaded(Meanwhile(destination))
    assert (document["rows"], document["findings"]) == (5, [])


def test_what_is_said(load, command, here):
    """People read what fails as a table on standard error, and where the page is; `--quiet` is silent if all holds."""
    load("data")
    assert command(None, "validate", "data", "--quiet").stderr == ""
    edit(here / "data", "first", with_values("country", ["FR", "France", "FR"]))
    ended = command(None, "validate", "data", "-o", "pages")
    (page,) = (here / "pages").glob("2*.html")
    assert (ended.returncode, ended.stdout) == (4, "")
    assert ended.stderr.splitlines() == [
        "tag    rule             rows  what was found",
        "first  country_matches     1  rows break the rule",
        "not everything holds: 1 tag and 1 row fail, of 5 rows of 2 tags in data",
        f"page: pages/{page.name}",
    ]
    assert sorted(path.suffix for path in (here / "pages").iterdir()) == [".html", ".json"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("data", "-o", "data/statuses"), "dataset"),
        (("data", "-o", "a_file"), "a_file"),
        (("data", "--expectations", "none.json"), "the suite none.json can't be read"),
    ],
)
def test_what_can_not_be_done(load, command, here, given, said):
    """A wrong folder or suite is refused with its name, and no page is written."""
    load("data")
    (here / "a_file").write_text("mine", encoding="utf-8")
    ended = command(None, "validate", *given)
    assert (ended.returncode, said in ended.stderr, ended.stderr.count("\n")) == (2, True, 1), ended.stderr
    assert list(here.rglob("*.html")) == []


def test_nothing_is_loaded(start_sandbox, command, validate):
    """A destination into which no tag came yet holds nothing that could fail."""
    command(start_sandbox([]), "run", "never", "--to", "data", "--quiet")
    code, document = validate("data")
    assert (code, document["tags"], document["rows"], document["success"]) == (0, 0, 0, True)


def test_interrupted(load, start, here):
    """A signal ends it with exit code 130, one word, and no page; it waits here for a suite that nobody writes."""
    load("data")
    os.mkfifo("mine.json")
    pipe = os.open("mine.json", os.O_RDWR)
    process = start(None, "validate", "data", "--expectations", "mine.json")
    while not (here / "validation").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    os.close(pipe)
    assert (process.returncode, said.splitlines()[-1]) == (130, "error: interrupted")
    assert list((here / "validation").glob("*.html")) == []
