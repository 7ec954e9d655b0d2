"""What only DuckDB does: a file, which one process at a time may open."""

import duckdb
import pytest
from load.conftest import an_ordinary_user
from smspartner.errors import DestinationBusy, SettingsError
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.destination import loaded_tags

RUN_ID = "20261123T180000Z-ab12cd34"


def load(place, *snapshots):
    """Load by one run."""
    destination = open_destination(f"duckdb:{place}")
    with destination.open(for_loading=True):
        list(destination.replace(snapshots))


def loaded(place):
    """Give what is loaded."""
    destination = open_destination(f"duckdb:{place}")
    with destination.open(for_loading=False):
        return loaded_tags(destination)[0]


def refused(place, kind=SettingsError):
    """Give what is said where a destination can't be loaded."""
    with pytest.raises(kind) as caught:
        open_destination(f"duckdb:{place}").check()
    assert (isinstance(caught.value, SettingsError), caught.value.__context__) == (kind is SettingsError, None)
    return str(caught.value)


def test_what_is_wrong(tmp_path, make_snapshot):
    """A path that can't be a database is refused in one sentence; nothing is made or changed there."""
    for folder in ("statuses", ".staging", "folder.db"):
        (tmp_path / folder).mkdir()
    (tmp_path / "other.db").write_text("something else, of some length" * 99)
    (tmp_path / "empty.db").touch()
    load(tmp_path / "cut.db", make_snapshot(rows=5000))
    (tmp_path / "cut.db").write_bytes((tmp_path / "cut.db").read_bytes()[:5000])
    before = sorted(path.name for path in tmp_path.iterdir())
    for name in ("other.db", "empty.db"):
        assert refused(tmp_path / name).endswith(f"{name} is no DuckDB database; name another file")
    assert "a directory stands where a file is needed" in refused(tmp_path / "folder.db")
    assert "a directory of the path does not exist; create it" in refused(tmp_path / "none" / "a.db")
    assert "lies inside the dataset" in refused(tmp_path / "statuses" / "a.db")
    assert "would be gone when the run ends; name a file" in refused(":memory:")
    assert "or it is damaged, or of a newer DuckDB" in refused(tmp_path / "cut.db", DestinationBusy)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_rights(tmp_path):
    """A file or a folder that this user may not write is a matter of settings."""
    load(tmp_path / "a.db")
    (tmp_path / "a.db").chmod(0o444)
    tmp_path.chmod(0o555)
    with an_ordinary_user(tmp_path):
        for name in ("a.db", "b.db"):
            assert "permission is denied" in refused(tmp_path / name)
    tmp_path.chmod(0o755)


def test_another_process(tmp_path, start):
    """While another process has the file open, if only to read it, loading is refused as busy; readers share it."""
    place = tmp_path / "a.db"
    load(place)
    child = start(
        "import duckdb\nopen_file = duckdb.connect(sys.argv[1], read_only=True)\nprint('open', flush=True)\ninput()",
        str(place),
    )
    assert child.stdout.readline() == "open\n"
    destination = open_destination(f"duckdb:{place}")
    for act in (destination.check, destination.open(for_loading=True).__enter__):
        with pytest.raises(DestinationBusy, match="is in use by another process, readers included; or it is damaged"):
            act()
    assert loaded(place) == {}


def test_the_lock_outlives_a_look(tmp_path, start):
    """What this process looks at while it loads does not give up its lock: another process stays out."""
    place = tmp_path / "a.db"
    destination = open_destination(f"duckdb:{place}")
    with destination.open(for_loading=True):
        for act in (open_destination(f"duckdb:{place}").check, lambda: loaded(place)):
            with pytest.raises(DestinationBusy):
                act()
        child = start(
            "import duckdb\ntry: duckdb.connect(sys.argv[1])\nexcept duckdb.IOException: print('no')", str(place)
        )
        assert child.stdout.readline() == "no\n"


def test_another_connection_of_this_process(tmp_path):
    """A connection of this process, as of a notebook, is busy like another process's; so is a link to the file."""
    place, link = tmp_path / "a.db", tmp_path / "link.db"
    destination = open_destination(f"duckdb:{place}")
    with destination.open(for_loading=True):
        link.symlink_to(place)
        with pytest.raises(DestinationBusy):
            open_destination(f"duckdb:{link}").open(for_loading=True).__enter__()
        assert loaded_tags(destination) == ({}, [])
    with duckdb.connect(str(place)), pytest.raises(DestinationBusy):
        loaded(place)


def test_the_file_does_not_grow(tmp_path, make_snapshot):
    """What was replaced gives its space to what comes: a file that is loaded again and again keeps its size."""
    place = tmp_path / "a.db"
    sizes = []
    for _ in range(6):
        load(place, make_snapshot("a", 5_000))
        sizes.append(place.stat().st_size)
    assert max(sizes) <= 3 * sizes[0]


def test_erased_numbers_leave_the_file(tmp_path, make_snapshot):
    """After a purge the file holds no number that was replaced; what the user added stays, and so does the lock."""
    place = tmp_path / "o'clock.db"
    load(place, make_snapshot("a", 50), make_snapshot("b", 0))
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
    assert {tag: state.rows_loaded for tag, state in loaded(place).items()} == {"a": 3, "b": 2}
    with duckdb.connect(str(place)) as mine:
        assert mine.execute("SELECT comment FROM duckdb_tables() WHERE table_name = 'mine'").fetchall() == [
            ("of mine",)
        ]
        assert mine.execute("SELECT index_name FROM duckdb_indexes()").fetchall() == [("by_number",)]
    assert [path.name for path in tmp_path.iterdir()] == ["o'clock.db"]
