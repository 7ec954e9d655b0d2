"""Which URI names which destination, what of it is shown, and which of them name one place."""

from contextlib import suppress

import pytest
from smspartner.errors import SettingsError
from smspartner.redaction import REDACT
from smspartner_pipelines.load import mask_secrets, open_destination
from smspartner_pipelines.load.uris import same_place, secrets_in

KINDS = {
    "Dataset": (
        *("out", "out/", "./a:b", "./a=b", "data.v1", "parquet:out", "PARQUET:out.csv", "out.csv/", "~", "/"),
        *("file:///tmp/out", "parquet:./a:b"),
    ),
    "Export": (
        *("a.parquet", "dir/a.PARQUET", "file:///tmp/a.parquet", "a.csv", "A.CSV", "a.csv.gz", "file:a.csv"),
        "file://localhost/tmp/a%20b.csv",
    ),
    "StdoutExport": ("-",),
    "SqlWarehouse": ("duckdb:a.db", "postgresql://h/d", "postgres://me@h:1/d", "postgresql:///?service=x"),
    "Lake": ("delta:out", "DELTA:out.csv"),
}


@pytest.mark.parametrize(("kind", "uri"), [(kind, uri) for kind, uris in KINDS.items() for uri in uris])
def test_kinds(kind, uri, tmp_path, monkeypatch):
    """Directories are datasets, files exports by their ending, `-` is standard output; nothing is touched."""
    monkeypatch.chdir(tmp_path)
    destination = open_destination(uri)
    assert (type(destination).__name__, destination.uri) == (kind, uri)
    assert destination.keeps_tags == (kind in {"Dataset", "SqlWarehouse", "Lake"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("host=db password=hunter2hunter2", "***"),
        ("  host = db password='hunter2hunter2'", "***"),
        ("password=hunter2hunter2", "***"),
        ("parquet:password=hunter2hunter2", "parquet:***"),
        ("year=2024/hunter2hunter2", "***"),
        ("postgresql:me:hunter2hunter2@host", "postgresql:***"),
        ("jdbc:postgresql://host/db?password=hunter2hunter2", "jdbc:***"),
        ("jdbc:oracle:thin:me/hunter2hunter2@host", "jdbc:***"),
        ("mysql://me:hunter2hunter2@host/db", "mysql://***"),
        ("https://host/x?sig=hunter2hunter2", "https://***"),
        ("x:hunter2hunter2@host", "x:***"),
        ("parquet:abc:hunter2hunter2", "parquet:***"),
        ("postgresql//me:hunter2hunter2@host/db", "***"),
        ("--host=db password=hunter2hunter2", "***"),
        ("postgresql://me:hunter2hunter2@[host/db", "postgresql://***"),
        ("parquet:s3://[b:hunter2hunter2/p", "parquet:***"),
        ("delta:s3://b/p", "delta:***"),
        ("duckdb:md:a", "duckdb:***"),
    ],
)
def test_not_understood(uri, shown):
    """What is not understood is refused, and only its scheme is shown: the rest may hold a password anywhere."""
    with pytest.raises(SettingsError) as caught:
        open_destination(uri)
    assert caught.value.what == f"this version does not load into {shown}"
    assert caught.value.remedy.startswith("name a directory, a .parquet, .csv, .csv.gz or .xlsx file")
    assert mask_secrets(uri) == shown


@pytest.mark.parametrize(
    ("uri", "what"),
    [
        *[(uri, "names no path") for uri in ("", " ", "a\0b", "parquet:", "file://localhost/", "file:///a%00b")][:4],
        ("file:///a%00b", "names no path"),
        ("file://", "names no path"),
        ("file://server/a.csv", r"does not load into file://\*\*\*; name a directory"),
        *[(uri, "writes no files like") for uri in ("a.json", "a.parquet.gz", "a.tsv", "a.db", "a.csv.zip")],
        ("x/a.duckdb", r"; for a DuckDB file, write duckdb:x/a\.duckdb$"),
        ("s3://bucket/a.csv", "writes no single files into object stores"),
        *[(uri, "bytes that are not UTF-8") for uri in ("a\udcff", "s3://b/\udcff", "file:///tmp/%ff", "-\udcff.csv")],
    ],
)
def test_refused(uri, what):
    """A URI that names no place, another format or undecodable bytes is refused before anything is asked for."""
    with pytest.raises(SettingsError, match=what):
        open_destination(uri)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://me:pa:s/s@w@host/db", "postgresql://me:***@host/db"),
        ("postgresql://:pw@host/db", "postgresql://:***@host/db"),
        ("postgresql://host/db?user=me&password=pw&sslmode=on", "postgresql://host/db?user=me&password=***&sslmode=on"),
        ("postgresql://me:pass-key@host/db?options=-ca%3D1", "postgresql://me:***@host/db?options=-ca%3D1"),
        ("postgresql://host/db?sslpassword=pw", "postgresql://host/db?sslpassword=***"),
        ("s3://KEY:SECRET@bucket/x", "s3://KEY:***@bucket/x"),
        ("s3://b/x?AWS_SECRET_ACCESS_KEY=abc", "s3://b/x?AWS_SECRET_ACCESS_KEY=***"),
        ("az://b/x?sig=a1&token=b2&cred=c3&pwd=d4&x=5", "az://b/x?sig=***&token=***&cred=***&pwd=***&x=5"),
        ("file:///tmp/\udcff", r"file:///tmp/\udcff"),
        ("postgresql://me:pass-word@host/db?sslmode=on", "postgresql://me:***@host/db?sslmode=on"),
        ("me@home/out", "me@home/out"),
        ("/mnt/tokens/out", "/mnt/tokens/out"),
    ],
)
def test_secrets(uri, shown):
    """A password never stands in a message."""
    assert mask_secrets(uri) == shown


@pytest.mark.parametrize(
    "uri",
    [
        *("postgresql://me:p%40ss%20word@host/db", "other://me:p%40ss%20word@host/db", "host=h password='p@ss word'"),
        *("jdbc:postgresql://me:p%40ss%20word@host/db", "postgresql://h/d?password=p%40ss%20word"),
    ],
)
def test_secrets_are_learnt(uri):
    """What a URI holds as a password is masked in all that is written later, as it is written and as it is meant."""
    with suppress(SettingsError):
        open_destination(uri)
    assert "p@ss word" not in REDACT("so p@ss word, me")
    if "%" in uri:
        assert "p%40ss%20word" not in REDACT("so p%40ss%20word, me")


def test_a_password_makes_no_secret_of_what_follows():
    """A password that reads like the name of a parameter does not turn the next value into a secret."""
    assert set(secrets_in("postgresql://me:pass-word@host/db?sslmode=require")) == {"pass-word"}


def test_same_place(tmp_path, monkeypatch):
    """One place has one identity, by whatever path, link, kind or spelling it is named; other places have others."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "a.csv").touch()
    (tmp_path / "b.csv").symlink_to("a.csv")
    (tmp_path / "c.csv").hardlink_to(tmp_path / "a.csv")
    for variable in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE"):
        monkeypatch.delenv(variable, raising=False)
    groups = [
        ["real", "./real/", "link", "parquet:real", f"file://{tmp_path}/real", "~/real", "delta:link", "real/../real"],
        ["real/new", "link/new", f"{tmp_path}/link/./new"],
        ["a.csv", "b.csv", "c.csv", "parquet:a.csv"],
        ["duckdb:x.db", "duckdb:real/../x.db", "x.db/"],
        ["s3://b/p", "s3a://b/p/", "parquet:s3://b//p"],
        ["s3://b/P"],
        ["gs://b/p"],
        [
            *("postgresql://me:pw@localhost/d", "postgres://you@127.0.0.1:5432/d", "postgresql://[::1]/d"),
            *("postgresql:///d", "postgresql://?dbname=d&port=5432&user=z", "postgresql://d@/"),
        ],
        ["postgresql://localhost/D"],
        ["postgresql://localhost:5433/d"],
        ["postgresql://db.example/d"],
        ["postgresql://db.example/d?options=-csearch_path%3Dx"],
        ["-"],
    ]
    places = [{same_place(uri) for uri in group} for group in groups]
    assert [len(place) for place in places] == [1] * len(groups)
    assert len(set.union(*places)) == len(groups)


def test_file_uri_and_home(tmp_path, monkeypatch):
    """`file://`, percent signs and `~` are read as the path they stand for, also where no shell expands them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for uri in ((tmp_path / "a b").as_uri(), "~/c"):
        with open_destination(uri).open(for_loading=True):
            pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a b", "c"]
