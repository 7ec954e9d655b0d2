"""Which URI names which destination."""

import subprocess
import sys
from pathlib import Path

import pytest
from smspartner.errors import SettingsError
from smspartner_pipelines.load import mask_secrets, open_destination
from smspartner.redaction import REDACT


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        *[(uri, "ParquetDataset") for uri in ("out", "out/", "./a:b", "data.v1", "parquet:out", "PARQUET:out.csv")],
        *[(uri, "ParquetDataset") for uri in ("out.csv/", "file:///tmp/out", "parquet:./a:b", "C:", "~", "/")],
        *[(uri, "ParquetExport") for uri in ("a.parquet", "dir/a.PARQUET", "file:///tmp/a.parquet")],
        *[(uri, "CsvExport") for uri in ("a.csv", "A.CSV", "a.csv.gz", "file://localhost/tmp/a%20b.csv", "file:a.csv")],
        ("-", "CsvStdout"),
        *[
            (uri, "Warehouse")
            for uri in ("duckdb:a.db", "postgresql://h/d", "postgres://me@h:1/d", "postgresql:///?service=x")
        ],
        *[(uri, "DeltaLake") for uri in ("delta:out", "DELTA:out.csv")],
    ],
)
def test_kinds(uri, kind):
    """Directories are datasets, files exports by their ending, `-` is standard output; nothing is touched."""
    destination = open_destination(uri)
    assert type(destination).__name__ == kind
    assert destination.uri == uri
    assert destination.keeps_tags == (kind in {"ParquetDataset", "Warehouse", "DeltaLake"})


@pytest.mark.parametrize(
    "uri",
    [
        "duckdb:md:a",
        "delta:s3://b/p",
        "abc:x",
        "abc://b/p",
        "parquet:abc:x",
    ],
)
def test_not_yet(uri):
    """A destination of another version is refused by name, with what this one does."""
    with pytest.raises(
        SettingsError, match=f"^this version does not load into {uri} yet; name a directory, a .parquet"
    ):
        open_destination(uri)


@pytest.mark.parametrize("uri", ["", " ", "a\0b", "parquet:", "file://", "file:///a%00b", "file://server/a.csv"])
def test_names_nothing(uri):
    """A URI that names no place is refused."""
    with pytest.raises(SettingsError):
        open_destination(uri)


@pytest.mark.parametrize("uri", ["a.json", "a.XLSX", "a.parquet.gz", "a.tsv", "a.duckdb", "a.csv.zip"])
def test_other_files(uri):
    """A file of another format is refused, instead of a directory of that name being made."""
    with pytest.raises(SettingsError, match=r"^this version writes no such file as "):
        open_destination(uri)


@pytest.mark.parametrize(
    ("uri", "masked"),
    [
        ("postgresql://me:pa:s/s@w@host/db", "postgresql://me:***@host/db"),
        ("postgresql://:pw@host/db", "postgresql://:***@host/db"),
        ("postgresql://host/db?user=me&password=pw&sslmode=on", "postgresql://host/db?user=me&password=***&sslmode=on"),
        ("s3://KEY:SECRET@bucket/x", "s3://KEY:***@bucket/x"),
        ("https://a.blob/x?sp=r&sig=abc%3D#f", "https://a.blob/x?sp=r&sig=***#f"),
        ("s3://b/x?AWS_SECRET_ACCESS_KEY=abc", "s3://b/x?AWS_SECRET_ACCESS_KEY=***"),
        ("me@home/out", "me@home/out"),
    ],
)
def test_secrets(uri, masked):
    """A password never stands in a message."""
    assert mask_secrets(uri) == masked
    if uri.startswith("postgresql:"):
        assert open_destination(uri).uri == masked
    elif "://" in uri:
        with pytest.raises(SettingsError) as caught:
            open_destination(uri)
        assert masked in str(caught.value)


def test_secrets_are_learnt():
    """What a URI holds as a password is masked in whatever is written later, as it is written and as it is meant."""
    with pytest.raises(SettingsError):
        open_destination("other://me:p%40ss%20word@host/db")
    assert REDACT("p@ss word, p%40ss%20word, me") == "***, ***, me"


def test_file_uri_is_a_path(tmp_path):
    """`file://` and percent signs are read as the path they stand for."""
    open_destination((tmp_path / "a b").as_uri()).check()
    assert [path.name for path in tmp_path.iterdir()] == ["a b"]


def test_home(tmp_path, monkeypatch):
    """`~` is the home directory, also where no shell expands it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    open_destination("~/out").check()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_dialects(tmp_path):
    """The CSV dialect is checked whatever the destination."""
    open_destination(str(tmp_path / "a.csv"), csv_dialect="excel").check()
    with pytest.raises(SettingsError, match="there is no CSV dialect 'tsv'; use one of: rfc4180, excel"):
        open_destination(str(tmp_path), csv_dialect="tsv")


def test_light():
    """Naming a destination imports nothing heavy before it is opened."""
    program = "import sys, smspartner_pipelines.load, smspartner_pipelines.load.destination; print('pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_nothing_is_touched(tmp_path):
    """Opening writes nothing."""
    for name in ("out", "a.csv", "a.parquet"):
        open_destination(str(tmp_path / name))
    assert list(Path(tmp_path).iterdir()) == []
