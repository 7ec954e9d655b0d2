"""What only DuckDB does: a file, which one process at a time may open."""

import duckdb
import pytest
from load.conftest import an_ordinary_user
from load.looking import load, loaded, refused
from smspartner.errors import DestinationBusy
from smspartner_pipelines.load import open_destination


def test_what_is_wrong(tmp_path, make_snapshot):
    """A path that can't be a database is refused in one sentence; nothing is made or changed there."""
    for folder in ("statuses", ".staging", "folder.db"):
        (tmp_path / folder).mkdir()
    (tmp_path / "other.db").write_text("something else, of some length" * 99)
    (tmp_path / "empty.db").touch()
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")  # which DuckDB itself opens, and keeps in memory
    (tmp_path / "rows.json").write_text('{"a": 1}')
    load(f"duckdb:{tmp_path}/cut.db", make_snapshot(rows=5000))
    (tmp_path / "cut.db").write_bytes((tmp_path / "cut.db").read_bytes()[:5000])
    before = sorted(path.name for path in tmp_path.iterdir())
    for name in ("other.db", "empty.db", "table.csv", "rows.json"):
        assert refused(f"duckdb:{tmp_path}/{name}").endswith(f"{name} is no DuckDB database; name another file")
    assert "a directory stands where a file is needed" in refused(f"duckdb:{tmp_path}/folder.db")
    assert "a directory of the path does not exist; create it" in refused(f"duckdb:{tmp_path}/none/a.db")
    assert "lies inside the dataset" in refused(f"duckdb:{tmp_path}/statuses/a.db")
    assert "would be gone when the run ends; name a file" in refused("duckdb::memory:")
    assert "or it is damaged, or of a newer DuckDB" in refused(f"duckdb:{tmp_path}/cut.db", DestinationBusy)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_rights(tmp_path):
    """A file or a folder that this user may not write is a matter of settings."""
    load(f"duckdb:{tmp_path}/a.db")
    (tmp_path / "a.db").chmod(0o444)
    tmp_path.chmod(0o555)
    with an_ordinary_user(tmp_path):
        for name in ("a.db", "b.db"):
            assert "permission is denied" in refused(f"duckdb:{tmp_path}/{name}")
    tmp_path.chmod(0o755)


def test_another_process(tmp_path, start):
    """While another process has the file open, if only to read it, loading is refused as busy; readers share it."""
    uri = f"duckdb:{tmp_path}/a.db"
    load(uri)
    child = start(
        "import duckdb\nopen_file = duckdb.connect(sys.argv[1], read_only=True)\nprint('open', flush=True)\ninput()",
        f"{tmp_path}/a.db",
    )
    assert child.stdout.readline() == "open\n"
    destination = open_destination(uri)
    for act in (destination.check, destination.open(for_loading=True).__enter__):
        with pytest.raises(DestinationBusy, match="is in use by another process, readers included; or it is damaged"):
            act()
    assert loaded(uri) == {}


def test_lock_within_a_process(tmp_path, start):
    """Other connections of this process, as of a notebook or by a link, are busy like another process's.

    What they look at does not give up the lock: another process stays out.
    """
    uri = f"duckdb:{tmp_path}/a.db"
    with open_destination(uri).open(for_loading=True):
        (tmp_path / "link.db").symlink_to(tmp_path / "a.db")
        link = open_destination(f"duckdb:{tmp_path}/link.db")
        for act in (open_destination(uri).check, lambda: loaded(uri), link.open(for_loading=True).__enter__):
            with pytest.raises(DestinationBusy):
                act()
        child = start(
            "import duckdb\ntry: duckdb.connect(sys.argv[1])\nexcept duckdb.IOException: print('no')",
            f"{tmp_path}/a.db",
        )
        assert child.stdout.readline() == "no\n"
    with duckdb.connect(f"{tmp_path}/a.db"), pytest.raises(DestinationBusy):
        loaded(uri)


def test_erased_numbers_leave_the_file(tmp_path, make_snapshot):
    """After a purge the file holds no number that was replaced; what the user added stays, and so does the lock."""
    place = tmp_path / "o'clock.db"
    load(f"duckdb:{place}", make_snapshot("a", 50), make_snapshot("b", 0))
    with duckdb.connect(str(place)) as mine:
        mine.execute("CREATE TABLE mine AS SELECT 1 AS x; COMMENT ON TABLE mine IS 'of mine'")
        mine.execute("CREATE INDEX by_number ON statuses (phone_number)")
    destination = open_destination(f"duckdb:{place}")
    with destination.open(for_loading=True):
        list(destination.replace([make_snapshot("a", 3)]))
        assert b"+33600000003" in place.read_bytes()
        destination.purge()
        assert b"+33600000003" not in place.read_bytes()
        with pytest.raises(DestinationBusy):
            open_destination(f"duckdb:{place}").check()
        list(destination.replace([make_snapshot("b", 2)]))
    assert {tag: state.rows_loaded for tag, state in loaded(f"duckdb:{place}").items()} == {"a": 3, "b": 2}
    with duckdb.connect(str(place)) as mine:
        assert mine.execute("SELECT comment FROM duckdb_tables() WHERE table_name = 'mine'").fetchall() == [
            ("of mine",)
        ]
        assert mine.execute("SELECT index_name FROM duckdb_indexes()").fetchall() == [("by_number",)]
    assert [path.name for path in tmp_path.iterdir()] == ["o'clock.db"]


def test_names_in_any_case(tmp_path):
    """DuckDB takes names in any case: what somebody else calls `Campaigns` or `STATUSES` is refused, and stays."""
    for name in ("Campaigns", "STATUSES"):
        with duckdb.connect(f"{tmp_path}/{name}.db") as database:
            database.execute(f'CREATE VIEW "{name}" AS SELECT 1 AS mine')
        assert f'"{name.lower()}" is a view' in refused(f"duckdb:{tmp_path}/{name}.db")
        with duckdb.connect(f"{tmp_path}/{name}.db") as database:
            views = database.sql("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
            assert (views, database.sql(f"SELECT * FROM {name}").fetchall()) == ([(name,)], [(1,)])
