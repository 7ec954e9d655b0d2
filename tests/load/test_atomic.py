"""Files written beside, moved into place."""

import errno
import hashlib
import os

import pytest
from smspartner.errors import DestinationError
from smspartner_pipelines.load.atomic import StagedFile, destination_error, guarded, is_staged, remove_file, replace_file
from smspartner_pipelines.load.destination import WrittenFile


@pytest.fixture
def staging(tmp_path):
    """A folder for files being written."""
    folder = tmp_path / ".staging"
    folder.mkdir()
    return folder


def names(folder):
    """The names in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_replaces(tmp_path, staging):
    """The target has the new content, and its size and SHA-256 are told."""
    target = tmp_path / "rows"
    target.write_bytes(b"old")
    written = replace_file(target, b"new content", staging=staging)
    assert target.read_bytes() == b"new content"
    assert written == WrittenFile(str(target), 11, hashlib.sha256(b"new content").hexdigest())
    assert names(staging) == []


def test_streams(tmp_path, staging):
    """What a callback writes piece by piece is hashed as a whole."""
    written = replace_file(
        tmp_path / "rows", lambda file: [file.write(piece) for piece in (b"a", b"bc")], staging=staging
    )
    assert (tmp_path / "rows").read_bytes() == b"abc"
    assert written.sha256 == hashlib.sha256(b"abc").hexdigest()


def test_nothing_is_seen_before(tmp_path, staging):
    """While it is written, a reader finds the old content."""
    target = tmp_path / "rows"
    target.write_bytes(b"old")
    seen = []

    def write(file):
        file.write(b"new")
        file.flush()
        seen.append(target.read_bytes())

    replace_file(target, write, staging=staging)
    assert seen == [b"old"]


def test_failing_writer(tmp_path, staging):
    """A writer that fails leaves the old content and no staged file; its own error comes through."""
    target = tmp_path / "rows"
    target.write_bytes(b"old")

    def write(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_file(target, write, staging=staging)
    assert target.read_bytes() == b"old"
    assert names(staging) == []


def test_target_is_a_directory(tmp_path, staging):
    """A move that the system refuses is one sentence, without a chain, and leaves no staged file."""
    (tmp_path / "rows").mkdir()
    with pytest.raises(DestinationError) as caught:
        replace_file(tmp_path / "rows", b"new", staging=staging)
    place = tmp_path / "rows"
    assert str(caught.value) == (f"writing {place} failed: a directory stands where a file is needed; correct the path")
    assert caught.value.__context__ is None
    assert names(staging) == []


@pytest.mark.parametrize(
    ("path", "says"),
    [("gone/rows", "a directory of the path does not exist"), ("file/rows", "a part of the path is a file")],
)
def test_wrong_paths(tmp_path, path, says):
    """A directory that vanished, or is a file, is named as such."""
    (tmp_path / "file").touch()
    target = tmp_path / path
    with pytest.raises(DestinationError, match=says):
        replace_file(target, b"new", staging=target.parent)


def test_full_disk(tmp_path, start):
    """A disk that takes no more leaves the old file and nothing else."""
    (tmp_path / "rows").write_bytes(b"old")
    child = start(
        """
from pathlib import Path
from smspartner_pipelines.load.atomic import replace_file
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
here = Path(sys.argv[1])
try:
    replace_file(here / "rows", bytes(100_000), staging=here)
except Exception as error:
    print(type(error).__name__, error)
""",
        str(tmp_path),
    )
    said, _ = child.communicate()
    assert said == (
        f"DestinationError writing {tmp_path / 'rows'} failed: the file is larger than this system allows; "
        "raise the limit or load elsewhere\n"
    )
    assert names(tmp_path) == ["rows"]
    assert (tmp_path / "rows").read_bytes() == b"old"


def test_dev_full():
    """ENOSPC reads as a full disk."""

    def act():
        with open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123 - a device, not a path of ours
            full.write(b"x")

    with pytest.raises(
        DestinationError, match=r"^writing there failed: the disk is full; free some space and run again$"
    ):
        guarded("writing there", act)


@pytest.mark.parametrize(
    "number", [errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO, errno.EPIPE, errno.EMFILE, None]
)
def test_every_cause_has_words(number):
    """Whatever the system says, there is a cause and a remedy."""
    error = OSError(number, os.strerror(number)) if number else OSError("no number")
    assert str(destination_error(error, "writing x")).count(";") == 1


def test_permissions_are_kept(tmp_path, staging):
    """A file that only its owner may read stays so when it is replaced."""
    target = tmp_path / "rows"
    target.touch(mode=0o600)
    target.chmod(0o600)
    replace_file(target, b"new", staging=staging)
    assert target.stat().st_mode & 0o777 == 0o600


def test_new_file_follows_the_umask(tmp_path, staging):
    """A new file is as readable as any other the user makes."""
    (tmp_path / "other").touch()
    replace_file(tmp_path / "rows", b"new", staging=staging)
    assert (tmp_path / "rows").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_discarded_file_takes_writes(tmp_path):
    """A format's writer can be closed after its file was dropped."""
    staged = StagedFile(tmp_path / "rows", tmp_path)
    staged.discard()
    assert staged.write(b"footer") == 6
    staged.flush()
    assert names(tmp_path) == []


def test_is_staged(tmp_path):
    """The staged files of `a.csv` are not those of `a.csv.gz`."""
    with StagedFile(tmp_path / "a.csv.gz", tmp_path):
        (staged,) = tmp_path.iterdir()
        assert is_staged(staged, tmp_path / "a.csv.gz")
        assert not is_staged(staged, tmp_path / "a.csv")


def test_remove_file(tmp_path):
    """Removing twice is no error; what can't be removed is named."""
    (tmp_path / "rows").touch()
    remove_file(tmp_path / "rows")
    remove_file(tmp_path / "rows")
    assert names(tmp_path) == []
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match="a part of the path is a file"):
        remove_file(tmp_path / "file" / "rows")
