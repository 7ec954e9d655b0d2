"""A load into an object store that is killed at any request: each tag old or new, and the next load heals."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.dataset import file_name

EARLIER, LATER = "20261123T180000Z-ab12cd34", "20261124T180000Z-ef56ab78"
TAGS = ("gains", "loses", "new", "same")


@pytest.fixture
def run(bucket):
    """Run the later load into a prefix, killed at a changing request; give the exit code and those requests."""
    command = [sys.executable, str(Path(__file__).with_name("object_loader.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as loader:

        def tell(line):
            loader.stdin.write(f"{line}\n")
            loader.stdin.flush()
            return int(loader.stdout.readline())

        def run_one(prefix, after=None):
            child = tell(f"{bucket.uri}/{prefix}")
            bucket.faults(*[] if after is None else [{"kill": child, "after": after}])
            code = tell("go")
            seen = bucket.requests()
            bucket.faults()
            return code, [request for request in seen if request[0] not in {"GET", "HEAD"}]

        yield run_one
        loader.stdin.close()


@pytest.fixture
def prepare(bucket, make_snapshot):
    """Give prefixes that hold an earlier load."""
    with open_destination(f"{bucket.uri}/earlier") as dataset:
        snapshots = [make_snapshot("gains", 5), make_snapshot("loses", 5, quarantined=2), make_snapshot("same", 5)]
        list(dataset.replace_tags(snapshots, EARLIER))
    objects = {key.removeprefix("earlier/"): bucket.read(key) for key in bucket.objects()}

    def make(prefix):
        for key, content in objects.items():
            bucket.put(f"{prefix}/{key}", content)

    return make


def contents(bucket, prefix):
    """Everything that readers see."""
    keys = [key for key in bucket.objects(f"{prefix}/") if "/." not in key]
    return {key.removeprefix(f"{prefix}/"): bucket.read(key) for key in keys}


@pytest.mark.parametrize("third", range(3))
def test_killed_at_every_request(bucket, run, prepare, record_property, third):
    """Whenever it dies, each tag's rows are old or new, nothing that counts as loaded is half, and a new run heals."""
    prepare("whole")
    old = contents(bucket, "whole")
    code, requests = run("whole")
    new = contents(bucket, "whole")
    assert code == 0
    for after in range(third, len(requests), 3):
        prefix = f"killed-{after:02}"
        prepare(prefix)
        code, seen = run(prefix, after)
        assert (code, len(seen)) == (-signal.SIGKILL, after + 1)
        found = contents(bucket, prefix)
        for key, content in found.items():
            assert content in (old.get(key), new.get(key))
        states = open_destination(f"{bucket.uri}/{prefix}").loaded_tags()
        for tag in TAGS:
            rows = found.get(f"statuses/{file_name(tag)}")
            state = states.get(tag)
            assert (state is None) == (rows is None)
            if state and state.consistent:
                expected = old if state.run_id == EARLIER else new
                quarantine = f"quarantine/{file_name(tag)}"
                assert found.get(quarantine) == expected.get(quarantine)
        dead = json.dumps({"owner": "dead", "seconds": -60}).encode()  # as if its lease had run out by now
        bucket.put(bucket.objects(f"{prefix}/.lock/")[-1], dead)
        assert run(prefix)[0] == 0
        assert contents(bucket, prefix) == new
        assert not bucket.objects(f"{prefix}/.staging/")
    record_property("kills", len(requests))
    assert len(requests) > 30
