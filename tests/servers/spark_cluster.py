"""A standalone cluster of Spark on loopback: a master, and two workers of one core.

    python spark_cluster.py ENVIRONMENT DIRECTORY

starts it with the Spark of an environment, logs into a directory, and says in one line of JSON the `master`'s URL and
the `workers`' process groups, to which their executors belong. All of it ends when standard input does.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

_LONGEST = 60.0
_LOOPBACK = ("--host", "127.0.0.1", "--port", "0", "--webui-port", "0")


def start(environment: Path, log: Path, kind: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a master or a worker, in a process group of its own."""
    programs = environment / "bin"
    command = [str(programs / "spark-class"), f"org.apache.spark.deploy.{kind}", *_LOOPBACK, *arguments]
    own = {"PATH": f"{programs}:{os.environ['PATH']}", "PYSPARK_PYTHON": str(programs / "python")}
    own["SPARK_DAEMON_JAVA_OPTS"] = "-XX:TieredStopAtLevel=1"
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            env={**os.environ, **own, "SPARK_LOCAL_IP": "127.0.0.1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def awaited(log: Path, pattern: str) -> str:
    """Give what a log says, once it says it."""
    until = time.monotonic() + _LONGEST
    while time.monotonic() < until:
        found = re.search(pattern, log.read_text(encoding="utf-8", errors="replace"))
        if found:
            return found[1]
        time.sleep(0.05)
    raise TimeoutError(f"{log} never said {pattern}")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process with all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main(environment: Path, directory: Path) -> None:
    """Serve until standard input ends."""
    with ExitStack() as running:
        log = directory / "master.log"
        running.callback(end, start(environment, log, "master.Master"))
        master = awaited(log, r"Starting Spark master at (spark://\S+)")
        workers = []
        for name in ("one", "two"):
            place = str(directory / f"work-{name}")
            size = ("--cores", "1", "--memory", "700m", "--work-dir", place)
            workers.append(start(environment, directory / f"{name}.log", "worker.Worker", *size, master))
            running.callback(end, workers[-1])
        for name in ("one", "two"):
            awaited(directory / f"{name}.log", r"Successfully registered with (master)")
        print(json.dumps({"master": master, "workers": [worker.pid for worker in workers]}), flush=True)  # noqa: T201
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
