"""Where a run loads: the same rows everywhere, in the contract's types, and never two runs at once."""

import gzip
import hashlib
import io
import re

import pandas as pd
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from smspartner_pipelines.sandbox import Campaign, Fault
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import STATUSES

TAGS = ("promo", "soldes-été", "A", "a", "../x", "a&b=c%20", "=1+1")
COLUMNS = list(STATUSES.column_names)
KEY = ["tag", "phone_number", "occurrence"]
VARYING = ["run_id", "extracted_at"]


@pytest.fixture
def sandbox(start_sandbox):
    """Serve 40 rows under each of several tags, some with characters that files, URLs and spreadsheets care about."""
    return start_sandbox(
        [Campaign(tag, 40, sent_at=1_700_000_000, seed=seed) for seed, tag in enumerate(TAGS)], page_size=15
    )


def sort_rows(rows):
    """Sort rows by the primary key."""
    return sorted(rows, key=lambda row: tuple(row[name] for name in KEY))


def read_parquet(path):
    """Read a Parquet file or folder as rows."""
    return sort_rows(pyarrow.dataset.dataset(path).to_table().to_pylist())


def read_csv(data):
    """Read a CSV as typed rows, null where a cell is empty."""
    schema = arrow_schema(STATUSES)
    types = {field.name: field.type.value_type if hasattr(field.type, "value_type") else field.type for field in schema}
    options = pyarrow.csv.ConvertOptions(
        column_types=types, strings_can_be_null=True, true_values=["true"], false_values=["false"]
    )
    return sort_rows(pyarrow.csv.read_csv(io.BytesIO(data), convert_options=options).to_pylist())


def test_same_rows_everywhere(sandbox, command, here):
    """Extracted once, a run's rows are those of the API, in the dataset, the Parquet file and both CSV files."""
    places = ("data", "all.parquet", "all.csv", "all.csv.gz")
    ended = command(sandbox, "run", *TAGS, *(word for place in places for word in ("--to", place)))
    expected = read_parquet("data/statuses")
    assert (ended.returncode, len(expected), len(sandbox.requests)) == (0, 7 * 40, 7 * 3)
    assert expected == read_parquet("all.parquet")
    assert expected == read_csv((here / "all.csv").read_bytes())
    assert expected == read_csv(gzip.decompress((here / "all.csv.gz").read_bytes()))
    assert set(places) == {path.name for path in here.iterdir()}
    found = pq.read_table("all.parquet").to_pylist()
    for seed, tag in enumerate(TAGS):
        sent = Campaign(tag, 40, sent_at=1_700_000_000, seed=seed).population(1_800_000_000)
        loaded = [row["phone_number"] for row in found if row["tag"] == tag]
        assert loaded == [row["phoneNumber"] for row in sent]


def test_standard_output_is_csv_and_nothing_else(sandbox, smspartner, here):
    """`--to -` writes the CSV, as a file would hold it, to stdout; the summary goes to stderr."""
    ended = smspartner(sandbox, "run", *TAGS, "--to", "-", "--to", "all.csv", options={"text": False, "encoding": None})
    assert (0, (here / "all.csv").read_bytes()) == (ended.returncode, ended.stdout)
    assert b"280 rows loaded into standard output, all.csv" in ended.stderr


def test_report_lists_the_files(sandbox, report, here):
    """The report lists the files written, with their sizes and SHA-256."""
    _, found = report(sandbox, "promo", "--to", "data", "--to", "all.csv")
    listed = [file for destination in found["destinations"] for file in destination["files"]]
    for file in listed:
        content = (here / file["path"]).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    folders = [re.sub("/[^/]*$", "", file["path"]) for file in listed]
    assert folders == ["data/statuses", "data/tag_runs", "all.csv"]


def test_loading_twice_changes_nothing(sandbox, command):
    """The same population loaded twice is the same rows, but for `run_id` and `extracted_at`."""
    places = ("data", "all.parquet", "all.csv", "all.csv.gz")

    def read(place):
        path = f"{place}/statuses" if place == "data" else place
        frame = pd.read_parquet(path) if "csv" not in place else pd.read_csv(path, keep_default_na=False, dtype="str")
        return frame.astype("str").sort_values(KEY).drop(columns=VARYING).to_dict("records"), set(frame["run_id"])

    seen = []
    for _ in range(2):
        to = [word for place in places for word in ("--to", place)]
        assert command(sandbox, "run", *TAGS, *to, "--refresh", "all").returncode == 0
        seen.append([read(place) for place in places])
    for (first, first_runs), (second, second_runs) in zip(*seen, strict=True):
        assert (280, first) == (len(first), second)
        assert (1, 1, set()) == (len(first_runs), len(second_runs), first_runs & second_runs)


def test_failed_run_leaves_the_old_export(sandbox, command, here):
    """An export is replaced as a whole by a run that came to its end; its tags that are not complete are not in it."""
    command(sandbox, "run", "promo", "A", "--to", "all.csv")
    before = (here / "all.csv").read_bytes()
    refused = command(sandbox, "run", "promo", "A", "--to", "all.csv", SMSPARTNER_API_KEY="wrong-key-of-mine")
    assert (5, before) == (refused.returncode, (here / "all.csv").read_bytes())
    sandbox.faults.add(Fault("html", tag="A"))
    partly = command(sandbox, "run", "promo", "A", "--to", "all.csv")
    assert (3, {"promo"}) == (partly.returncode, {row["tag"] for row in read_csv((here / "all.csv").read_bytes())})
