"""`--csv-dialect excel` in a real spreadsheet program: LibreOffice opens what a run has loaded, and saves it."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest
from smspartner_pipelines.load.csv_format import csv_header, csv_lines
from smspartner_pipelines.sandbox import Campaign

TAGS = (
    *("=1+1", "@SUM(A1:A9)", "+cmd|calc", "-2+3", '=HYPERLINK("x")', "=cmd|'/c'!A1", "'=1+1", "\uff1d1+1"),
    *("007", "1e5", "+33612345678", "1,5", "1.5", "1/2", "-5", "(5)", "5%", "10€", "$5", "1E+5", "00033"),
    *("2026-01-01", "12:30", "mars-26", "Nov-26", "janvier-1,2026", "lun.3/4/26", "Mär.26", "3-mai"),
    *(
        "TRUE",
        "faux",
        "WAHR",
        "NA",
        "#N/A",
        "null",
        "a,b",
        "a;b",
        'a"b',
        '"',
        "'",
        "-",
        "soldes-été",
        "œuvre",
        "\U0001f600",
    ),
)
"""What spreadsheets run, calculate, convert or separate; a tag is 1 to 20 characters without white space."""

LANGUAGES = {"system": 0, "English": 1033, "French": 1036, "German": 1031}
READING = "Text - txt - csv (StarCalc)"

AS_OPENED = "59/44/9,34,76,1,,{language},false,false,false,false,false,0,false"
"""What the dialog proposes at a double click: separated at `;`, `,` and tab; quotes; UTF-8; nothing detected."""

AT_WORST = "59/44/9,34,76,1,,{language},false,true,false,false,false,0,true"
"""The same with "detect special numbers" (dates, booleans) and "evaluate formulas" ticked."""

Cells = list[list[object]]


@pytest.fixture(scope="module")
def soffice(tmp_path_factory):
    """Convert files with LibreOffice, each under a user profile of these tests; skip where there is none."""
    command = shutil.which("soffice")
    if not command:
        pytest.skip("needs LibreOffice Calc (soffice)")
    profile = tmp_path_factory.mktemp("profile").as_uri()

    def convert(into, *files, to="xlsx", reading=None):
        filters = [f"--infilter={READING}:{reading}"] if reading else []
        subprocess.run(
            [
                *(command, f"-env:UserInstallation={profile}", "--headless", *filters),
                *("--convert-to", to, "--outdir", str(into), *map(str, files)),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        return [Path(into, f"{file.stem}.{to.partition(':')[0]}") for file in files]

    return convert


@pytest.fixture
def loaded(start_sandbox, command, here):
    """Load rows of every tag through the program: `x.csv` for spreadsheets, `plain.csv` as RFC 4180."""
    numbers = ["+33639980001", "0639980002", "+264811234567", "+15550100"]
    dates = ["1517989111", "", "1717989111", "0"]
    rows = [
        {"phoneNumber": number, "status": "Delivered", "stopSMS": False, "date": date}
        for number, date in zip(numbers, dates, strict=True)
    ]
    sandbox = start_sandbox([Campaign.of_rows(tag, rows) for tag in TAGS])
    for place, dialect in (("x.csv", "excel"), ("plain.csv", "rfc4180")):
        ended = command(sandbox, "run", "--to", place, "--csv-dialect", dialect, "--", *TAGS)
        assert ended.returncode == 0, ended.stderr
    return here / "x.csv", here / "plain.csv"


def texts(path: Path, delimiter: str = ";") -> list[list[str]]:
    """The cells of a CSV, as written."""
    return list(csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline=""), delimiter=delimiter, strict=True))


def sheet(path: Path) -> Cells:
    """The cells of a sheet: their values, and the word "formula" for one that is evaluated."""
    book = openpyxl.load_workbook(path)
    return [["formula" if cell.data_type == "f" else cell.value for cell in row] for row in book.active.iter_rows()]


def as_shown(cells: list[list[str]]) -> Cells:
    """What a sheet should hold: every cell the text that is written, but `occurrence` a number, and empty for null."""
    header, *rows = cells
    occurrence = header.index("occurrence")
    return [header] + [
        [int(cell) if place == occurrence else cell or None for place, cell in enumerate(row)] for row in rows
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_cells_are_the_texts_written(loaded, soffice, tmp_path, language):
    """Numbers, zeros, formulas, dates and accents are the texts of the file, whatever the language and the settings."""
    expected = as_shown(texts(loaded[0]))
    for name, reading in (("opened", AS_OPENED), ("worst", AT_WORST)):
        if (language, name) == ("system", "worst"):
            continue  # what the system's language detects is not for a test to know
        (found,) = soffice(tmp_path / name, loaded[0], reading=reading.format(language=LANGUAGES[language]))
        booleans = as_booleans(expected, "true") if name == "worst" and language == "English" else expected
        assert booleans == sheet(found)


def as_booleans(cells: Cells, word: str) -> Cells:
    """The cells with `stop_sms` as booleans, where the language's own words are the ones that are written."""
    place = cells[0].index("stop_sms")
    return [cells[0]] + [[*row[:place], row[place] == word, *row[place + 1 :]] for row in cells[1:]]


def test_values_come_back(loaded, soffice, tmp_path):
    """Saved as CSV by the spreadsheet, less one leading apostrophe, every value is what the plain CSV holds."""
    (book,) = soffice(tmp_path / "book", loaded[0], reading=AS_OPENED.format(language=1036))
    (saved,) = soffice(tmp_path / "saved", book, to=f"csv:{READING}:59,34,76")
    restored = [[cell.removeprefix("'") for cell in row] for row in texts(saved)]
    varying = [restored[0].index(name) for name in ("extracted_at", "run_id")]

    def stable(cells):
        return [[cell for place, cell in enumerate(row) if place not in varying] for row in cells]

    assert stable(texts(loaded[1], ",")) == stable(restored)
    assert {row[0] for row in restored[1:]} == set(TAGS)
    assert {"FR", "NA"} <= {row[restored[0].index("country")] for row in restored}


def test_the_plain_dialect_is_not_for_spreadsheets(loaded, soffice, tmp_path):
    """The same tags in RFC 4180, which other programs want, lose zeros and run as formulas: hence the dialect."""
    (found,) = soffice(tmp_path, loaded[1], reading=AT_WORST.format(language=1033))
    tags = {row[0] for row in sheet(found)[1:]}
    assert {"formula", 7, 33612345678, True} <= tags
    assert not {"=1+1", "007", "+33612345678", "TRUE"} & tags


NAMES = (
    *(
        "January",
        "Sept",
        "Mar",
        "may",
        "lundi",
        "mar.",
        "juil.",
        "août",
        "Décembre",
        "März",
        "Okt",
        "Mo.",
        "enero",
        "ago",
    ),
    *("gennaio", "set", "maart", "mrt", "Mon", "dim"),
)
PATTERNS = ("{}26", "{}-26", "{}/26", "{}.26", "{}-2026", "{}/1/26", "{}.1.2026", "{}1,2026", "{}26-1", "{},3.4.26")
OTHERS = (
    *(
        "\u0663",
        "\uff15",
        "\u22125",
        "½",
        "¥5",
        "R$5",
        "CHF5",
        "kr5",
        "VERO",
        "FALSO",
        "WAAR",
        "5:",
        "12am",
        "(3)",
        ".5",
    ),
    *(",5", "#REF!", "12h30", "1-2-3", "24:00", "5e", "0x1F", "1'000"),
)


@pytest.mark.parametrize("language", [1033, 2057, 3084, 4108, 1031, 1040])
def test_dates_in_words(soffice, tmp_path, language):
    """Names of months and days before numbers stay text under the settings of many languages."""
    words = [*OTHERS] + [pattern.format(name) for name in NAMES for pattern in PATTERNS]
    table = pa.table({"n": ["x"] * len(words), "tag": words})
    file = tmp_path / "words.csv"
    file.write_bytes(b"".join([csv_header(table.column_names, "excel"), *csv_lines(table, "excel")]))
    (found,) = soffice(tmp_path / "out", file, reading=AT_WORST.format(language=language))
    changed = [
        (word, row[1]) for word, row in zip(words, sheet(found)[1:], strict=True) if row[1] not in (word, f"'{word}")
    ]
    assert changed == []
