"""Files of this machine: their rights, links that others have planted, and the lock."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest
from load.conftest import SOMEBODY, an_ordinary_user
from load.looking import load
from smspartner.errors import DestinationError, SettingsError
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.files import os_errors, replace_files
from smspartner_pipelines.load.folder import FOLDERS, STAGING
from smspartner_pipelines.load.uris import same_place
from smspartner_pipelines.pages.campaign_report import ReportSettings, write_campaign_report
from smspartner_pipelines.pages.validation_page import prepare_folder
from smspartner_schemas.arrow import empty_table
from smspartner_schemas.contract import TAG_RUNS

STARTING = {
    SettingsError: "EACCES EPERM EROFS ENOENT ENOTDIR EISDIR EEXIST ENAMETOOLONG ELOOP EXDEV",
    DestinationError: "ENOSPC EDQUOT EIO EMFILE EFBIG EPIPE",
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in STARTING.items() for name in names.split()])
def test_causes(kind, name):
    """Each cause is one sentence with a remedy, and the chain is cut; at the start, rights and names are settings."""
    number = getattr(errno, name)
    for starting, expected in ((False, DestinationError), (True, kind)):
        says = r"^writing x failed: [^;]+; \w+"
        with pytest.raises(expected, match=says) as caught, os_errors("writing x", starting=starting):
            raise OSError(number, os.strerror(number), "/home/secret/+33612345678")
        assert type(caught.value) is expected
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)
        assert "secret" not in str(caught.value)


def test_replaces(tmp_path):
    """A file is replaced as a whole; one that can't be written leaves all old files, and nothing beside them."""
    (tmp_path / "a").write_bytes(b"old")
    files = replace_files({tmp_path / "a": b"new", tmp_path / "b": b""})
    assert [(Path(file.path).name, file.size) for file in files] == [("a", 3), ("b", 0)]
    with pytest.raises(DestinationError, match="a directory of the path does not exist"):
        replace_files({tmp_path / "a": b"newer", tmp_path / "gone" / "c": b""})
    assert sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir()) == [("a", b"new"), ("b", b"")]


def test_rights(tmp_path):
    """A new file follows the umask; a replaced one keeps its mode, and its group where this user may give it."""
    old = os.umask(0o027)
    try:
        replace_files({tmp_path / "a": b""})
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    (tmp_path / "a").chmod(0o604)
    replace_files({tmp_path / "a": b"new"})
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o604


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to act as another user")


@as_root
def test_group_that_may_not_be_given(tmp_path):
    """Where the group can't be kept, no other group gets its rights."""
    tmp_path.chmod(0o777)
    (tmp_path / "a").touch()
    (tmp_path / "a").chmod(0o664)
    with an_ordinary_user(tmp_path):
        replace_files({tmp_path / "a": b"new"})
    found = (tmp_path / "a").stat()
    assert (found.st_gid, stat.S_IMODE(found.st_mode)) == (SOMEBODY, 0o604)


INSIDE = ["data", "new", "new/er", "rows.csv", "link.csv", "new.parquet", "data/statuses", "data/statuses/x.csv"]


@pytest.mark.parametrize("mode", [0o700, 0o744, 0o755], ids=["closed", "listed", "readable"])
def test_forbidden_folders(tmp_path, mode):
    """Whatever this user may not look into or write is a setting to correct, for each kind of path and each act."""
    folder, allowed = tmp_path / "folder", []
    load(folder / "data")
    (folder / "rows.csv").touch(0o600)
    (folder / "link.csv").symlink_to("rows.csv")
    for path in (folder / "data", folder):
        path.chmod(mode if os.geteuid() == 0 else mode & 0o077 | (mode & 0o007) << 6)
    with an_ordinary_user(tmp_path):
        for name in INSIDE:
            same_place(str(folder / name))
            one = open_destination(str(folder / name))
            for act in (one.check, one.open(for_loading=True).__enter__, one.open(for_loading=False).__enter__):
                with suppress(SettingsError):
                    act()
                    allowed.append(name)
    folder.chmod(0o755)
    assert allowed == ["data"] * (mode == 0o755)


@pytest.mark.parametrize("name", [name for name in FOLDERS if name != STAGING])
def test_a_folder_that_may_not_be_written(tmp_path, name):
    """A dataset of which one folder alone may not be written is refused by `check`, with which every run begins."""
    load(tmp_path / "data")
    for folder in FOLDERS:
        (tmp_path / "data" / folder).chmod(0o555 if folder == name else 0o777)
    (tmp_path / "data" / ".lock").chmod(0o666)
    destination = open_destination(str(tmp_path / "data"))
    with an_ordinary_user(tmp_path), pytest.raises(SettingsError, match=f"data/{name} can't be written; allow this"):
        destination.check()
    (tmp_path / "data" / name).chmod(0o777)
    with an_ordinary_user(tmp_path):
        destination.check()


# A folder that others may write into.


@pytest.fixture
def shared(tmp_path):
    """A folder like /tmp, and one of somebody else, into which a link may lead."""
    folder, trap = tmp_path / "shared", tmp_path / "trap"
    folder.mkdir()
    trap.mkdir()
    folder.chmod(0o1777)
    return folder, trap


PLANTED = [("data", "data"), ("rows.csv", "rows.csv"), ("mine", "mine/data"), ("mine", "mine/rows.parquet")]
PLANTED += [("a.db", "a.db"), ("a.db.wal", "a.db")]


@as_root
@pytest.mark.parametrize(("link", "uri"), PLANTED)
def test_planted_link(shared, link, uri):
    """A link that another user has put into a shared folder is not followed, wherever it stands in the path."""
    folder, trap = shared
    (folder / link).symlink_to(trap / "rows.csv" if "." in link else trap)
    os.chown(folder / link, SOMEBODY, SOMEBODY, follow_symlinks=False)
    destination = open_destination(f"{'duckdb:' if uri == 'a.db' else ''}{folder / uri}")
    for act in (destination.check, lambda: destination.open(for_loading=True).__enter__()):
        with pytest.raises(SettingsError, match=f"{link} is a link that another user has put there"):
            act()
    assert list(trap.iterdir()) == []


@as_root
def test_planted_link_for_a_page(shared):
    """Nor does a page follow one: it replaces whole files."""
    folder, trap = shared
    for page, write in (
        ("page.html", lambda path: write_campaign_report(ReportSettings(str(trap), str(path)))),
        ("validation", prepare_folder),
    ):
        (folder / page).symlink_to(trap / "x")
        os.chown(folder / page, SOMEBODY, SOMEBODY, follow_symlinks=False)
        with pytest.raises(SettingsError, match=f"{page} is a link that another user has put there"):
            write(folder / page)
    assert list(trap.iterdir()) == []


def test_own_link(shared):
    """A link of the user's own is followed."""
    folder, trap = shared
    (folder / "data").symlink_to(trap)
    with open_destination(str(folder / "data")).open(for_loading=True):
        pass
    assert (trap / "statuses").is_dir()


def test_planted_lock(shared, make_snapshot):
    """A link in the place of an export's lock is refused, and what it leads to stays."""
    folder, trap = shared
    (trap / "precious").write_bytes(b"precious")
    (folder / ".rows.csv.lock").symlink_to(trap / "precious")
    with (
        pytest.raises(SettingsError, match="is a link, not a lock of this product"),
        open_destination(str(folder / "rows.csv")).open(for_loading=True),
    ):
        pass
    assert (trap / "precious").read_bytes() == b"precious"


CONTENDER = """
from pathlib import Path
from smspartner.errors import DestinationBusy
from smspartner_pipelines.load.folder import exclusive
here, held = Path(sys.argv[1]), 0
print("ready", flush=True)
sys.stdin.readline()
while held < 200:
    try:
        with exclusive(here / ".lock", "there", remove=True):
            (here / "alone").touch(exist_ok=False)
            (here / "alone").unlink()
            held += 1
    except DestinationBusy:
        pass
print("always alone")
"""


def test_removing_the_lock_keeps_the_exclusion(tmp_path, start):
    """Processes that lock, and remove the lock file, as fast as they can are never inside together."""
    contenders = [start(CONTENDER, str(tmp_path)) for _ in range(3)]
    for contender in contenders:
        assert contender.stdout.readline() == "ready\n"
    for contender in contenders:
        contender.stdin.write("\n")
        contender.stdin.flush()
    assert [contender.communicate() for contender in contenders] == [("always alone\n", "")] * 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("refused", [False, True])
def test_lock_of_one_process(tmp_path, refused):
    """Two destinations of one process exclude each other, and a refused one does not free the lock for a third."""
    first, others = open_destination(str(tmp_path / "a.csv")), [open_destination(str(tmp_path / "a.csv"))] * 2
    with first.open(for_loading=True):
        for other in others:
            with pytest.raises(DestinationError, match="is in use"), other.open(for_loading=True):
                pass
        first.finish(empty_table(TAG_RUNS), "r", complete=not refused)
    assert (tmp_path / "a.csv").exists() != refused
