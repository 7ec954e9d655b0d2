"""What only DuckDB does: a file, which one process at a time may open."""

import os
import shutil
import subprocess

import duckdb
import pytest
from smspartner.errors import DestinationBusy, DestinationError
from smspartner_pipelines.load import open_destination

RUN_ID = "20261123T180000Z-ab12cd34"


def refused(place):
    """Give what is told where a destination can't be loaded."""
    with pytest.raises(DestinationError) as caught:
        open_destination(f"duckdb:{place}").check()
    assert caught.value.__context__ is None
    return str(caught.value)


def test_what_is_wrong_is_told(tmp_path):
    """A path that can't be a database is refused in one sentence; nothing is made or changed there."""
    (tmp_path / "other.db").write_text("something else, of some length" * 99)
    assert refused(tmp_path / "other.db").endswith("other.db: it is no DuckDB database; name another file")
    assert refused(tmp_path).endswith(": it is a directory; name a file")
    assert "a directory of the path does not exist; create it, or name another place" in refused(
        tmp_path / "none" / "a.db"
    )
    assert "would be gone when the run ends; name a file" in refused(":memory:")
    assert [path.name for path in tmp_path.iterdir()] == ["other.db"]


def test_nothing_is_made_before_it_is_entered(tmp_path):
    """Checking makes no file; entering does."""
    destination = open_destination(f"duckdb:{tmp_path / 'a.db'}")
    destination.check()
    assert list(tmp_path.iterdir()) == []
    with destination:
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["a.db"]


def test_not_in_a_dataset(tmp_path):
    """No database is put into the folders of a dataset."""
    (tmp_path / "statuses").mkdir()
    (tmp_path / ".staging").mkdir()
    assert "lies inside the dataset" in refused(tmp_path / "statuses" / "a.db")


def test_another_process(tmp_path, start):
    """While another process has the file open, if only to read it, loading and reading are refused, and said why."""
    place = tmp_path / "a.db"
    with open_destination(f"duckdb:{place}"):
        pass
    child = start(
        "import duckdb\nopen_file = duckdb.connect(sys.argv[1], read_only=True)\nprint('open', flush=True)\ninput()",
        str(place),
    )
    assert child.stdout.readline() == "open\n"
    destination = open_destination(f"duckdb:{place}")
    destination.check()
    with pytest.raises(
        DestinationBusy, match="is in use by another process, readers included; wait until it has ended"
    ):
        destination.__enter__()


def test_another_connection_of_this_process(tmp_path):
    """A connection of this process, as of a notebook, is told like another process's; so is another way to the file."""
    place, link = tmp_path / "a.db", tmp_path / "link.db"
    with open_destination(f"duckdb:{place}") as destination:
        link.symlink_to(place)
        with pytest.raises(DestinationBusy):
            open_destination(f"duckdb:{link}").__enter__()
        assert destination.loaded_tags() == {}
    with duckdb.connect(str(place)), pytest.raises(DestinationBusy):
        open_destination(f"duckdb:{place}").loaded_tags()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0 or not shutil.which("mount"), reason="mounting takes root")
def test_full_disk(tmp_path, make_snapshot):
    """Where the disk is full, that is said; what was loaded stays, and is loaded anew once there is space."""
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)], check=False).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        uri = f"duckdb:{small / 'a.db'}"
        with open_destination(uri) as destination:
            list(destination.replace_tags([make_snapshot("a", 10)], RUN_ID))
            with pytest.raises(DestinationError, match="the disk is full; free some space and run again"):
                list(destination.replace_tags([make_snapshot("a", 400_000)], RUN_ID))
        assert open_destination(uri).loaded_tags()["a"].rows_loaded == 10
        subprocess.run(["mount", "-o", "remount,size=100m", str(small)], check=True)
        with open_destination(uri) as destination:
            list(destination.replace_tags([make_snapshot("a", 20_000)], RUN_ID))
        assert open_destination(uri).loaded_tags()["a"].rows_loaded == 20_000
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_the_file_does_not_grow(tmp_path, make_snapshot):
    """What was replaced gives its space to what comes: a file that is loaded again and again keeps its size."""
    place = tmp_path / "a.db"
    sizes = []
    for _ in range(6):
        with open_destination(f"duckdb:{place}") as destination:
            list(destination.replace_tags([make_snapshot("a", 5_000)], RUN_ID))
        sizes.append(place.stat().st_size)
    assert max(sizes) <= 3 * sizes[0]
