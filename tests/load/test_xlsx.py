"""A workbook opens in spreadsheet programs: real dates, numbers with their plus, filters; whole or not at all."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import openpyxl
import pyarrow as pa
import pytest
from pages.shop import NOW, campaign
from smspartner.errors import DestinationError
from smspartner.snapshot import Snapshot
from smspartner_pipelines.load import open_destination
from smspartner_schemas.arrow import arrow_schema, empty_table
from smspartner_schemas.contract import STATUSES, TAG_RUNS

CAMPAIGNS = [
    campaign("promo-nov", 8, 1, waiting=1, opt_outs=2, quarantined=3),
    campaign("soldes-été", 2),
    campaign("empty", 0),
    campaign("_x0041_<&>", 1),
]


def export(path: Path, *snapshots: Snapshot) -> None:
    """Export snapshots in one run."""
    workbook = open_destination(str(path))
    with workbook.open(for_loading=True):
        list(workbook.replace(snapshots))
        workbook.finish(empty_table(TAG_RUNS), "run", complete=True)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The workbook as LibreOffice reads and saves it."""
    program = shutil.which("soffice")
    if program is None:
        pytest.skip("needs LibreOffice: apt-get install libreoffice-calc")
    export(tmp_path / "sms.xlsx", *CAMPAIGNS)
    command = [program, f"-env:UserInstallation=file://{tmp_path}/home", "--headless", "--convert-to", "xlsx"]
    command += ["--outdir", str(tmp_path / "saved"), str(tmp_path / "sms.xlsx")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return tmp_path / "saved" / "sms.xlsx"


def test_spreadsheet_programs_read_what_was_loaded(saved: Path) -> None:
    """Each campaign and status is there: texts as texts, times as dates in French time, counts as numbers."""
    book = openpyxl.load_workbook(saved)
    campaigns, statuses = book["campaigns"], book["statuses"]
    names, *rows = campaigns.iter_rows(values_only=True)
    assert [row[names.index("tag")] for row in rows] == [one.tag for one in CAMPAIGNS]
    assert rows[0][1:10] == (10, 8, 1, 1, 0, 2, pytest.approx(8 / 9), 0.25, 3)
    assert rows[2][1:10] == (0, 0, 0, 0, 0, 0, None, None, 0)
    _, first, *_ = statuses.iter_rows()
    assert [(cell.value, cell.data_type) for cell in first[:5]] == [
        *(("promo-nov", "s"), ("+33600000000", "s"), (1, "n"), ("FR", "s"), ("delivered", "s"))
    ]
    local = (NOW - timedelta(minutes=5)).astimezone(ZoneInfo("Europe/Paris")).replace(tzinfo=None)
    assert (first[7].data_type, first[7].value) == ("d", local)
    assert statuses.max_row == 14
    assert [row[6] for row in statuses.iter_rows(min_row=2, values_only=True) if row[4] == "waiting"] == [None]


def test_sheets_can_be_filtered_at_once(saved: Path) -> None:
    """Headings stay in sight, also in print, and filters cover all rows."""
    ours, theirs = (openpyxl.load_workbook(path) for path in (saved.parent.parent / "sms.xlsx", saved))
    filters = [("campaigns", "A1:L5"), ("statuses", "A1:I14")]
    for book in (ours, theirs):
        assert [(sheet.title, sheet.auto_filter.ref) for sheet in book] == filters
    assert [sheet.freeze_panes for sheet in ours] == ["A2", "A2"]
    assert [(sheet.page_setup.orientation, sheet.print_title_rows) for sheet in ours] == [("landscape", "$1:$1")] * 2
    assert ours["statuses"]["F2"].value is True
    with zipfile.ZipFile(saved.parent.parent / "sms.xlsx") as parts:  # Excel alone takes _x0041_ for an A
        assert b"_x005F_x0041_&lt;&amp;&gt;" in parts.read("xl/worksheets/sheet2.xml")


def test_more_rows_than_a_sheet_holds(tmp_path: Path) -> None:
    """A run with more rows than Excel can open leaves the old workbook as it was, and says what to do."""
    path = tmp_path / "sms.xlsx"
    export(path, campaign("old", 3))
    before = path.read_bytes()
    with pytest.raises(DestinationError, match="more than the 1,048,575 rows that a sheet can hold; load fewer tags"):
        export(path, _large("one", 600_000), _large("two", 600_000))
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["sms.xlsx"]


def _large(tag: str, rows: int) -> Snapshot:
    """Make a population of so many equal rows."""
    (row,) = campaign(tag, 1).table.to_pylist()
    columns = {name: pa.repeat(pa.scalar(value), rows) for name, value in row.items()}
    columns["occurrence"] = pa.array(np.arange(1, rows + 1, dtype=np.int32))
    schema = arrow_schema(STATUSES)
    table = pa.table([columns[name].cast(schema.field(name).type) for name in schema.names], schema=schema)
    return Snapshot(tag, "complete", "", "run", table, extracted_at=NOW, rows_declared=rows, rows_received=rows)
