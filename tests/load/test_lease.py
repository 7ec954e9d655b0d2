"""Two runs on one place in an object store exclude each other, also where one of them died or was cut off."""

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from smspartner.errors import DestinationBusy, DestinationError
from smspartner_pipelines.load.dataset import ParquetDataset
from smspartner_pipelines.load.object_files import ObjectFiles

RUN_ID = "20261123T180000Z-ab12cd34"


def dataset(bucket, seconds=60.0):
    """A dataset with leases of so many seconds."""
    return ParquetDataset(f"{bucket.uri}/data", ObjectFiles(f"{bucket.uri}/data", lease_seconds=seconds))


def locks(bucket):
    """The numbers of all lock objects."""
    return [int(key.rsplit("/", 1)[-1]) for key in bucket.objects("data/.lock/")]


def until(what, *, patience=30.0):
    """Ask until it is so; asking pauses, and no answer depends on how long it took."""
    pause = threading.Event()
    for _ in range(int(patience / 0.05)):
        if what():
            return
        pause.wait(0.05)
    raise AssertionError("that never came")


def is_busy(bucket):
    """Whether another run can't enter; if it can, it leaves at once."""
    try:
        with dataset(bucket):
            return False
    except DestinationBusy:
        return True


def test_second_run(bucket):
    """While a run holds the place nobody else enters; once it has left, anybody may."""
    with dataset(bucket):
        with pytest.raises(
            DestinationBusy,
            match=rf"^{bucket.uri}/data is in use by another run; wait until it has ended, or load elsewhere "
            r"\(if it was killed, its lock runs out in (59|60|61) s\)$",
        ):
            dataset(bucket).__enter__()
        assert locks(bucket) == [1]
    assert not is_busy(bucket)
    assert locks(bucket) == [2]


def test_one_of_many_wins(bucket):
    """Of many runs that begin at the same moment one enters."""
    with ThreadPoolExecutor(6) as runs, ExitStack() as entered:
        together = threading.Barrier(6)

        def enter(_):
            one = dataset(bucket)
            together.wait()
            try:
                entered.enter_context(one)
            except DestinationBusy:
                return False
            return True

        assert sum(runs.map(enter, range(6))) == 1


def test_run_out(bucket):
    """The lock of a run that was killed runs out by itself."""
    bucket.put("data/.lock/00000007", json.dumps({"owner": "dead", "seconds": 0.5, "released": False}).encode())
    until(lambda: not is_busy(bucket))
    assert locks(bucket) == [8]


def test_renewed(bucket):
    """A run that lasts longer than its lease keeps it."""
    with dataset(bucket, 6.0) as held:
        bucket.faults()
        until(lambda: bucket.requests().count(("PUT", "data/.lock/00000001")) > 2)
        assert is_busy(bucket)
        held.save_report(b"{}", RUN_ID)


def test_taken_over(bucket, make_snapshot):
    """A run that finds another one in its place writes nothing more, and says so."""
    with dataset(bucket, 6.0) as held:
        list(held.replace_tags([make_snapshot("one")], RUN_ID))
        bucket.put("data/.lock/00000002", b"{}")
        until(lambda: is_lost(held))
        before = bucket.objects()
        for write in (
            lambda: list(held.replace_tags([make_snapshot("two")], RUN_ID)),
            lambda: list(held.replace_tags([make_snapshot("one", quarantined=1)], RUN_ID)),
            lambda: held.save_report(b"{}", RUN_ID),
        ):
            with pytest.raises(DestinationError, match=f"^the lock on {bucket.uri}/data was lost: "):
                write()
    assert bucket.objects() == before


def is_lost(held):
    """Whether the lock is known to be lost."""
    try:
        held.save_report(b"{}", RUN_ID)
    except DestinationError as error:
        return str(error).startswith("the lock on ")
    return False


def test_cut_off(bucket, caplog):
    """A run that can't renew its lock stops writing, though nobody has taken it yet."""
    with dataset(bucket, 2.0) as held:
        bucket.faults({"method": "PUT", "key": "/.lock/", "status": 503, "code": "ServiceUnavailable"})
        until(lambda: is_lost(held))
    assert "could not be renewed" in caplog.text


def test_lost_answer(bucket, monkeypatch):
    """A lock that was taken while the answer got lost is recognised as one's own."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    bucket.faults({"method": "PUT", "key": "/.lock/0", "times": 1, "cut_after": True})
    with dataset(bucket):
        assert locks(bucket) == [1]


def test_store_without_conditions(bucket, caplog):
    """A store that can't exclude is told in a warning; one that can is not."""
    with caplog.at_level(logging.WARNING), dataset(bucket):
        assert "smspartner" not in {record.name.split(".")[0] for record in caplog.records}
    bucket.faults({"method": "PUT", "key": "/.lock/0", "unconditional": True})
    with caplog.at_level(logging.WARNING), dataset(bucket):
        assert "two runs that begin at the same moment may both load there" in caplog.text


def test_numbers_only_rise(bucket):
    """However many runs there were, one lock object stays, with the highest number."""
    for _ in range(3):
        with dataset(bucket):
            pass
    assert locks(bucket) == [3]
