"""Two runs exclude each other."""

import re

import pytest
from smspartner.errors import DestinationBusy, DestinationError
from smspartner_pipelines.load.lock import exclusive

HOLDER = """
from pathlib import Path
from smspartner_pipelines.load.lock import exclusive
with exclusive(Path(sys.argv[1]), "there", remove=len(sys.argv) > 2):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_second_process(tmp_path, start):
    """While another process holds the lock, the answer is one sentence, at once; afterwards it is free."""
    lock_file = tmp_path / ".lock"
    holder = start(HOLDER, str(lock_file))
    assert holder.stdout.readline() == "held\n"
    says = re.escape("out/ is in use by another run; wait until it has ended, or load elsewhere")
    with pytest.raises(DestinationBusy, match=f"^{says}$") as caught, exclusive(lock_file, "out/"):
        pass
    assert caught.value.__context__ is None
    holder.communicate("\n")
    with exclusive(lock_file, "out/"):
        pass


def test_killed_process(tmp_path, start):
    """A process that is killed locks nothing any more, whatever it left."""
    lock_file = tmp_path / ".lock"
    holder = start(HOLDER, str(lock_file), "remove")
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.communicate()
    assert lock_file.exists()
    with exclusive(lock_file, "out/", remove=True):
        pass
    assert list(tmp_path.iterdir()) == []


def test_within_one_process(tmp_path):
    """Two destinations of one run exclude each other as well."""
    lock_file = tmp_path / ".lock"
    with exclusive(lock_file, "out/"), pytest.raises(DestinationBusy), exclusive(lock_file, "out/"):
        pass


@pytest.mark.parametrize("remove", [False, True])
def test_refused_run_leaves_the_lock(tmp_path, start, remove):
    """A run that was refused does not free the lock for a third one."""
    lock_file = tmp_path / ".lock"
    holder = start(HOLDER, str(lock_file), *["remove"] * remove)
    assert holder.stdout.readline() == "held\n"
    for _ in range(2):
        with pytest.raises(DestinationBusy), exclusive(lock_file, "out/", remove=remove):
            pass
    assert lock_file.exists()


def test_released_after_an_error(tmp_path):
    """An error in the block comes through and frees the lock."""
    lock_file = tmp_path / ".lock"
    with pytest.raises(ZeroDivisionError), exclusive(lock_file, "out/", remove=True):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with exclusive(lock_file, "out/"):
        pass


CONTENDER = """
from pathlib import Path
from smspartner.errors import DestinationBusy
from smspartner_pipelines.load.lock import exclusive
here, held = Path(sys.argv[1]), 0
print("ready", flush=True)
sys.stdin.readline()
while held < 300:
    try:
        with exclusive(here / ".lock", "there", remove=True):
            (here / "alone").touch(exist_ok=False)
            (here / "alone").unlink()
            held += 1
    except DestinationBusy:
        pass
print("always alone")
"""


def test_removing_keeps_the_exclusion(tmp_path, start):
    """Processes that lock, and remove the lock file, as fast as they can are never inside together."""
    contenders = [start(CONTENDER, str(tmp_path)) for _ in range(3)]
    for contender in contenders:
        assert contender.stdout.readline() == "ready\n"
    for contender in contenders:
        contender.stdin.write("\n")
        contender.stdin.flush()
    assert [contender.communicate() for contender in contenders] == [("always alone\n", "")] * 3
    assert list(tmp_path.iterdir()) == []


def test_no_place_for_a_lock(tmp_path):
    """Where no lock file can be made, the sentence says why."""
    (tmp_path / "file").touch()
    with (
        pytest.raises(DestinationError, match=r"^locking out/ failed: "),
        exclusive(tmp_path / "file" / ".lock", "out/"),
    ):
        pass
    (tmp_path / ".lock").mkdir()
    with pytest.raises(DestinationError, match=r"^locking out/ failed: "), exclusive(tmp_path / ".lock", "out/"):
        pass
