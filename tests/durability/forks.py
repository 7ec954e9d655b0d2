"""A process that has imported everything already, and forks for each command it is told to run: to die on the way, say.

Read and written line by line, as JSON. A request has `arguments`, `environment`, `folder` (where it works; its words
are written beside it) and what is to happen to the process, if anything:

    kill_at N           SIGKILL when the N-th call that changes files begins: opens, flushes, moves, removes, …
    signal_at N         the first of `signals` when the N-th event of any kind (call or return, Python or C) happens
    signals [S…]        … and the others, each `pause` seconds after the one before
    count               nothing, but events are counted
    wait_for_tracer     begin when strace is attached

The answers are the process id at once, then the exit code and how many events of each kind were counted. All this lives
here, in the test: the product knows nothing of it.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import io
import json
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from smspartner_pipelines.process import main

HEAVY = (
    *("pandas", "phonenumbers", "pyarrow.dataset", "pyarrow.parquet", "pyarrow.compute", "pyarrow.csv", "requests"),
    *("filelock", "rich.console", "rich.table", "rich._emoji_codes"),
    *("smspartner.api", "smspartner.client", "smspartner_pipelines.cli", "smspartner_pipelines.run"),
    *("smspartner_pipelines.forget", "smspartner_pipelines.report"),
    *("smspartner_pipelines.load.dataset", "smspartner_pipelines.load.folder", "smspartner_pipelines.load.export"),
)
FILE_CALLS = frozenset({io.open, os.replace, os.rename, os.unlink, os.mkdir, os.rmdir, os.truncate})
"""What a reader could see the difference of. Syncing and closing change nothing that outlives a process."""

WATCHED = {"count", "kill_at", "signal_at"}
ANY_TRACER = (0x59616D61, -1)
"""prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY): a sibling may attach."""


class Events:
    """Counts what the main thread does, and strikes when the count is reached."""

    def __init__(self, request: dict[str, Any], answers: int) -> None:
        self.counts = {"files": 0, "all": 0}
        self._answers = answers
        self._kill_at = request.get("kill_at")
        self._signal_at = request.get("signal_at")
        self._signals: list[int] = request.get("signals", [])
        self._pause: float = request.get("pause", 0)

    def __call__(self, _frame: Any, event: str, called: Any) -> None:
        """Be told of an event, as `sys.setprofile` has it."""
        self.counts["all"] += 1
        if self.counts["all"] == self._signal_at:
            threading.Thread(target=self._send_others, daemon=True).start()
            os.kill(os.getpid(), self._signals[0])
        if event != "c_call":
            return
        if changes_files(called):
            self.counts["files"] += 1
            if self.counts["files"] == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        elif called is os._exit:
            os.write(self._answers, json.dumps(self.counts).encode())

    def _send_others(self) -> None:
        for number in self._signals[1:]:
            time.sleep(self._pause)
            os.kill(os.getpid(), number)


def changes_files(called: Any) -> bool:
    """Say whether a C function changes what a reader finds; a write only fills the buffer of a file."""
    if isinstance(getattr(called, "__self__", None), io.BufferedWriter | io.FileIO):
        return bool(called.__name__ == "flush")
    return called in FILE_CALLS


def become(request: dict[str, Any], answers: int) -> None:
    """Be the command, from here to its end."""
    os.chdir(request["folder"])
    for name, descriptor in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        path = os.devnull if name == "stdin" else f"{request['folder']}.{name}"
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.update(request["environment"])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if request.get("wait_for_tracer"):
        ctypes.CDLL(None).prctl(*ANY_TRACER)
        signal.alarm(20)  # nobody comes
        while "TracerPid:\t0\n" in Path("/proc/self/status").read_text():
            time.sleep(0.001)
        signal.alarm(0)
    sys.argv = ["smspartner", *request["arguments"]]
    if request.keys() & WATCHED:
        sys.setprofile(Events(request, answers))
    main()


def serve() -> None:
    """Fork a command for each line, and tell how it ended."""
    sys.dont_write_bytecode = True  # only the first run would, and change more files than those after it
    for name in HEAVY:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is never collected is never copied
    for line in sys.stdin:
        request = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            become(request, writing)
        os.close(writing)
        tell({"pid": child})
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        tell({"code": code, "events": json.loads(os.read(reading, 200) or "{}")})
        os.close(reading)


def tell(answer: dict[str, Any]) -> None:
    """Answer."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
