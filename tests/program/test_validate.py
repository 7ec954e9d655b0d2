"""`smspartner validate`: what is loaded is judged, and told by exit code, pages and JSON, without a phone number."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from smspartner_pipelines.load import open_store
from smspartner.redaction import find_numbers
from smspartner_pipelines.sandbox import Campaign
from smspartner_schemas.expectations import suite

NUMBER = "+33639980001"
RULES = [entry["meta"]["rule"] for entry in suite()["expectations"]]


@pytest.fixture
def sandbox(start_sandbox, api_row):
    """Serve two tags, one of them with a row that can't be believed."""
    doubtful = api_row(4, status="Perhaps")
    return start_sandbox(
        [
            Campaign.of_rows("first", [api_row(1), api_row(2, status="Waiting"), api_row(3)]),
            Campaign.of_rows("second", [api_row(1), doubtful, api_row(2)]),
        ]
    )


@pytest.fixture
def load(sandbox, command):
    """Load both tags into a destination."""

    def run(uri: str, *arguments: str, **changes: str) -> None:
        assert command(sandbox, "run", "first", "second", "--to", uri, "--quiet", *arguments, **changes).returncode == 4

    return run


@pytest.fixture
def validate(command):
    """Validate a destination; give exit code and document."""

    def run(uri: str, *arguments: str) -> tuple[int, dict[str, Any]]:
        ended = command(None, "validate", uri, "--json", *arguments)
        assert ended.stdout, ended.stderr
        return ended.returncode, json.loads(ended.stdout)

    return run


def edit(dataset: Path, tag: str, change: Callable[[pa.Table], pa.Table], folder: str = "statuses") -> None:
    """Change a tag's file as somebody would who keeps its metadata."""
    (path,) = (dataset / folder).glob(f"{tag}-*.parquet")
    table = pq.read_table(path, partitioning=None)
    metadata = {b"smspartner": pq.read_metadata(path).metadata[b"smspartner"]}
    pq.write_table(change(table).replace_schema_metadata(metadata), path)


def with_values(column: str, values: list[Any]) -> Callable[[pa.Table], pa.Table]:
    """Make a change that gives a column other values."""

    def change(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index(column)
        kind = table.schema.field(column).type
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        return table.set_column(place, column, pa.array(values, plain).cast(kind))

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
    counts = [document[name] for name in ("tags", "rows", "quarantined", "expectations_failed")]
    rules = [one["rule"] for one in document["expectations"]]
    return (code, counts, rules, document["findings"]) == (0, [2, 5, 1, 0], RULES, [])


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


def test_sound_warehouses(load, validate, warehouse):
    """What a run has loaded into a database holds."""
    load(warehouse.uri)
    assert all_sound(*validate(warehouse.uri))


def test_sound_lake(load, validate):
    """What a run has loaded into a Delta lake holds."""
    load("delta:lake")
    assert all_sound(*validate("delta:lake"))


def test_sound_object_store(load, validate, bucket):
    """What a run has loaded into an object store holds."""
    load(f"{bucket.uri}/data")
    assert all_sound(*validate(f"{bucket.uri}/data"))


def test_two_forms_in_one_destination(load, sandbox, command, validate):
    """Tags whose numbers are in different forms are judged each by its own."""
    load("data")
    command(sandbox, "run", "first", "--to", "data", "--phone-numbers", "masked", "--quiet", "--refresh", "all")
    code, document = validate("data")
    matches = [one for one in document["expectations"] if one["rule"] == "phone_number_matches"]
    assert (code, document["phone_numbers"]) == (0, {"masked": 1, "plain": 1})
    assert sorted(one["rows_checked"] for one in matches) == [2, 3]
    assert {one["rows_checked"] for one in document["expectations"]} == {2, 3, 5}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            with_values("country", ["FR", "France", "FR"]), [("first", "country_matches", 1)], id="wrong_country"
        ),
        pytest.param(
            lambda table: pa.concat_tables([table, table.slice(0, 1)]),
            [("first", "books_balance", None), ("first", "primary_key_unique", 2)],
            id="doubled_row",
        ),
        pytest.param(lambda table: table.slice(1), [("first", "books_balance", None)], id="row_removed"),
        pytest.param(lambda table: table.drop_columns(["country"]), [("first", "tag_readable", None)], id="no_column"),
        pytest.param(
            with_values("run_id", ["other"] * 3), [("first", "rows_of_their_tag", None)], id="rows_of_another_run"
        ),
        pytest.param(
            with_values("status", ["delivered"] * 3), [("first", "state_as_rows", None)], id="state_of_other_rows"
        ),
        pytest.param(
            with_values("phone_number", [NUMBER, NUMBER + "x", None]),
            [("first", "tag_readable", None)],
            id="null_where_none_may_be",
        ),
        pytest.param(
            with_values("phone_number", [NUMBER, NUMBER + "x", "0639980003"]),
            [("first", "phone_number_matches", 2)],
            id="no_numbers",
        ),
    ],
)
def test_edited_file(load, validate, here, change, expected):
    """A file that somebody has changed is found out, tag and rule, and the other tag is judged all the same."""
    load("data")
    edit(here / "data", "first", change)
    code, document = validate("data")
    assert (code, findings(document), document["success"]) == (4, expected, False)
    assert document["native_check_disagrees"] == []
    assert phone_numbers_in(here / "validation") == []


def test_quarantine_that_was_changed(load, validate, here):
    """A quarantine that lost its rows does not balance."""
    load("data")
    edit(here / "data", "second", lambda table: table.slice(1), "quarantine")
    assert findings(validate("data")[1]) == [("second", "books_balance", None)]


def test_rows_changed_in_a_database(load, validate, tmp_path):
    """Rows that somebody has added to a database, or taken away, are found."""
    uri = f"duckdb:{tmp_path / 'x.duckdb'}"
    load(uri)
    import duckdb

    with duckdb.connect(tmp_path / "x.duckdb") as connection:
        connection.execute("DELETE FROM statuses WHERE tag = 'first' AND status = 'waiting'")
    code, document = validate(uri)
    assert (code, findings(document)) == (4, [("first", "books_balance", None), ("first", "state_as_rows", None)])


def test_a_run_meanwhile_is_no_fault(load, sandbox, command, here):
    """A tag that is replaced between the reading of its state and its rows is judged as it is then."""
    from smspartner_pipelines.loaded_rows import read_tags

    load("data")
    store = open_store("data")
    tags = read_tags(store, store.loaded_tags())
    first = next(tags)
    command(sandbox, "run", "second", "--to", "data", "--quiet", "--refresh", "all")
    second = next(tags)
    assert [first.state.tag, second.state.tag, second.troubles] == ["first", "second", {}]
    assert second.rows["run_id"].unique().to_pylist() == [second.state.run_id]


def expectations(here: Path, *entries: dict[str, Any]) -> tuple[str, str]:
    """Write a suite, and give the arguments that name it."""
    (here / "mine.json").write_text(json.dumps({"name": "mine", "expectations": entries}), encoding="utf-8")
    return "--expectations", "mine.json"


def test_own_expectations(load, validate, here):
    """Expectations of one's own are judged row by row, or tag by tag, and fail in the words of Great Expectations."""
    load("data")
    by_row = {"type": "expect_column_values_to_not_be_in_set", "kwargs": {"column": "status", "value_set": ["waiting"]}}
    by_tag = {
        "type": "expect_table_row_count_to_be_between",
        "kwargs": {"min_value": 3},
        "meta": {"rule": "three_rows"},
    }
    code, document = validate("data", *expectations(here, by_row, by_tag))
    judged = [one for one in document["expectations"] if one["suite"] == "user"]
    assert code == 4
    assert findings(document) == [
        ("second", "three_rows", None),
        ("first", "expectation_1_expect_column_values_to_not_be_in_set", 1),
    ]
    assert [(one["sentence"], one["remark"], one["observed"], one["tags_failed"]) for one in judged] == [
        (
            "`status` values must not belong to this set: `waiting`.",
            "1 unexpected values found. 20% of 5 total rows.",
            "20% unexpected",
            1,
        ),
        ("Must have greater than or equal to `3` rows.", "", "1 of 2 tags fail", 1),
    ]
    results = document["great_expectations"]
    assert (results["success"], results["statistics"]["unsuccessful_expectations"]) == (False, 2)
    assert [result["success"] for result in results["results"]] == [one["success"] for one in document["expectations"]]


def test_expectation_that_meets_its_match_in_the_rows(load, validate, command, here):
    """An expectation that can't be evaluated on the rows is said not to be; the others are judged; exit code 1."""
    load("data")
    broken = {
        "type": "expect_column_values_to_match_json_schema",
        "kwargs": {
            "column": "phone_number",
            "json_schema": {},
            "row_condition": 'tag == "first"',
            "condition_parser": "pandas",
        },
        "meta": {"rule": "is_json"},
    }
    code, document = validate("data", *expectations(here, broken))
    counts = [document[f"expectations_{name}"] for name in ("judged", "failed", "not_evaluated")]
    assert (code, counts, document["success"]) == (1, [len(RULES), 0, 1], False)
    assert "is_json could not be evaluated" in document["expectations"][-1]["remark"]
    told = command(None, "validate", "data", *expectations(here, broken)).stderr
    assert "1 expectations could not be evaluated for 5 rows of 2 tags in data" in told


def test_suite_that_can_not_be_used(load, command, here):
    """A suite that no rows could be judged by is refused at once, as by a run."""
    load("data")
    wrong = {"type": "expect_column_sum_to_be_between", "kwargs": {"column": "no_such"}}
    ended = command(None, "validate", "data", *expectations(here, wrong))
    assert (ended.returncode, "expectation 1 of your suite" in ended.stderr) == (2, True)
    assert list((here / "validation").iterdir()) == []


def test_numbers_in_a_suite_are_hidden(load, command, here):
    """A suite that names phone numbers, in whatever argument, is told without them; dates in it are told."""
    load("data")
    kwargs = {"column": "phone_number", "value_set": [NUMBER, "06 39 98 00 02"]}
    entries = (
        {"type": "expect_column_values_to_not_be_in_set", "kwargs": kwargs, "meta": {"rule": f"not {NUMBER}"}},
        {
            "type": "expect_column_values_to_not_match_regex",
            "kwargs": {"column": "phone_number", "regex": r"^\+?(33|0)639980003$"},
        },
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "status_at", "min_value": "2001-02-03T00:00:00+00:00"},
        },
        {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {"column": "occurrence", "value_set": [33639980001, 1]},
        },
    )
    ended = command(None, "validate", "data", "--json", *expectations(here, *entries))
    told = [one for one in json.loads(ended.stdout)["expectations"] if one["suite"] == "user"]
    assert ended.returncode == 4
    assert [one["rows_failed"] for one in told] == [2, 1, 0, 0]
    assert [one["sentence"] for one in told] == [
        "`phone_number` values must not belong to this set: `***`.",
        "`phone_number` values must not match this regular expression: `^\\+?(***$`.",
        "`status_at` values must be greater than or equal to `2001-02-03T00:00:00+00:00`.",
        "`occurrence` values must belong to this set: `***`.",
    ]
    assert "39980" not in re.sub(r"[^\d]", "", ended.stdout.replace("2001-02-03", "")) + ended.stderr
    assert phone_numbers_in(here / "validation") == []


def test_what_is_said(load, command, here):
    """People read what fails as a table on standard error, and where the page is; `--quiet` leaves one line."""
    load("data")
    edit(here / "data", "first", with_values("country", ["FR", "France", "FR"]))
    ended = command(None, "validate", "data", "-o", "pages")
    (page,) = (here / "pages").glob("2*.html")
    assert (ended.returncode, ended.stdout) == (4, "")
    assert ended.stderr.splitlines() == [
        "rule             rows  tags  expected",
        "country_matches     1     1  country values must match this regular expression:",
        "                             ^(?:[A-Z]{2})(?![\\s\\S]).",
        "1 tags and 1 rows fail, of 5 rows of 2 tags in data",
        f"page: pages/{page.name}",
    ]
    quiet = command(None, "validate", "data", "-o", "pages", "--quiet")
    assert quiet.stderr == "error: 1 tags and 1 rows fail, of 5 rows of 2 tags in data\n"


def test_files_of_the_folder(load, command, here):
    """Each validation adds its page and its document; the index lists all; files of others stay as they are."""
    load("data")
    (here / "validation").mkdir()
    others = {"notes.txt": "mine", "20260101T000000Z-00000000.json": '{"kind": "else"}', "x.json": "no JSON"}
    for name, text in others.items():
        (here / "validation" / name).write_text(text, encoding="utf-8")
    for _ in range(2):
        assert command(None, "validate", "data", "--quiet").returncode == 0
    pages = sorted(path.name for path in (here / "validation").glob("*Z-*.html"))
    index = (here / "validation" / "index.html").read_text(encoding="utf-8")
    assert sorted(re.findall(r'href="(2[^"]+)"', index)) == pages
    assert len(pages) == 2
    assert {name: (here / "validation" / name).read_text(encoding="utf-8") for name in others} == others
    made = {page.replace(".html", ending) for page in pages for ending in (".html", ".json")}
    assert {path.name for path in (here / "validation").iterdir()} == {*others, *made, "index.html"}


def test_folder_that_is_a_file(load, command, here):
    """Where a file stands in the folder's place, that is said before any work is done."""
    load("data")
    (here / "validation").write_text("a file", encoding="utf-8")
    ended = command(None, "validate", "data")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "creating validation failed: a file stands where a directory is needed" in ended.stderr


def test_folder_with_an_index_of_others(load, command, here):
    """An index that is not of this product is not replaced."""
    load("data")
    (here / "validation").mkdir()
    (here / "validation" / "index.html").write_text("<p>mine</p>", encoding="utf-8")
    ended = command(None, "validate", "data")
    assert (ended.returncode, "validation/index.html is no page of this product" in ended.stderr) == (2, True)
    assert (here / "validation" / "index.html").read_text(encoding="utf-8") == "<p>mine</p>"


def test_pages_do_not_go_into_a_dataset(load, command):
    """Pages are kept out of the folders of a dataset, where readers expect rows."""
    load("data")
    ended = command(None, "validate", "data", "-o", "data/statuses")
    assert (ended.returncode, "data/statuses lies inside the dataset" in ended.stderr) == (1, True)


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("nothing", "nothing was ever loaded into nothing"),
        ("out.csv", "out.csv is an export, which keeps no tags"),
        ("ftp://x/y", "this version does not load into ftp://x/y"),
    ],
)
def test_destination_that_can_not_be_validated(command, here, uri, told):
    """A destination that is none, or holds no tags, is refused with what to name instead; no folder is made."""
    ended = command(None, "validate", uri)
    assert (ended.returncode, told in ended.stderr) == (2, True)
    assert not (here / "validation").exists()


def test_nothing_is_loaded(start_sandbox, command, validate):
    """A destination into which no tag came yet holds nothing that could fail."""
    command(start_sandbox([]), "run", "never", "--to", "data", "--quiet")
    code, document = validate("data")
    assert (code, document["tags"], document["rows"], document["success"]) == (0, 0, 0, True)


def test_damaged_destination(load, command, here):
    """A file that is none of ours ends the validation with its name and the cure."""
    load("data")
    (path,) = (here / "data/statuses").glob("first-*")
    path.write_bytes(b"damaged")
    ended = command(None, "validate", "data")
    assert (ended.returncode, f"{path.name} is damaged" in ended.stderr) == (1, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(load, start, here, number):
    """A signal ends it with exit code 130, one word, and no page."""
    load("data")
    process = start(None, "validate", "data", "-vv")
    while not (here / "validation").exists():
        assert process.poll() is None
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, told.splitlines()[-1]) == (130, "error: interrupted")
    assert list((here / "validation").glob("*.html")) == []


def test_exit_codes_are_told_alike(command):
    """The help and the how-to tell the same exit codes in the same words."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "validate.md").read_text(encoding="utf-8")
    told = " ".join(command(None, "validate", "--help").stdout.partition("Exit codes:")[2].split())
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", page, re.MULTILINE)
    assert len(rows) == 5
    assert told.startswith(" ".join(f"{code} {meaning}" for code, meaning in rows))
