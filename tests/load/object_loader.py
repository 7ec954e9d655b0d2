"""A process that forks for each load it is told to make, so that the load can be killed at any of its requests.

Read line by line: a URI, then anything once the store knows whom to kill. Written: the process id, then the exit code.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

for name in ("s3fs", "botocore.session", "smspartner_pipelines.load.object_files", "smspartner_pipelines.load.dataset"):
    importlib.import_module(name)

snapshots = importlib.import_module("conftest")
open_destination = importlib.import_module("smspartner_pipelines.load").open_destination

RUN_ID = "20261124T180000Z-ef56ab78"


def load(uri: str) -> None:
    """Load three tags in the place of others."""
    tags = [
        snapshots.build_snapshot("gains", 6, quarantined=1, run_id=RUN_ID),
        snapshots.build_snapshot("loses", 6, run_id=RUN_ID),
        snapshots.build_snapshot("same", 6, run_id=RUN_ID),
        snapshots.build_snapshot("new", 2, quarantined=2, run_id=RUN_ID),
    ]
    with open_destination(uri) as dataset:
        for snapshot in tags:  # one after the other: the requests come in the same order each time
            list(dataset.replace_tags([snapshot], RUN_ID))
        dataset.finish(snapshots.build_tag_runs("gone", run_id=RUN_ID), RUN_ID)
        dataset.save_report(b"{}", RUN_ID)


def serve() -> None:
    """Fork for each load."""
    for uri in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.read(reading, 1)
            load(uri.strip())
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        sys.stdin.readline()
        os.write(writing, b"!")
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write(f"{code}\n")
        sys.stdout.flush()
        os.close(reading)
        os.close(writing)


if __name__ == "__main__":
    serve()
