"""Spark's work for one run, in a thread of its own: an interruption ends it, and leaves the session usable.

What is raised in the middle of a call, as Ctrl-C does in the main thread, tears the connection to the JVM: later calls
of that thread may fail, among them those that would cancel the tasks and remove what they have written.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self, TypeVar

from smspartner.errors import DestinationError
from smspartner_pipelines.load.undisturbed import Undisturbed
from smspartner.redaction import REDACT, hide_numbers

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Result = TypeVar("Result")

_LONGEST_TOLD = 300
_LONGEST_END = 15.0
"""Seconds; Spark kills the Python of a cancelled task after two."""


class Jobs:
    """Calls of Spark, one after the other; jobs that they start bear `name`, and the caller's local properties."""

    def __init__(self, spark: SparkSession, name: str) -> None:
        from pyspark import inheritable_thread_target

        self._context = spark.sparkContext
        self._name = name
        self._begin = inheritable_thread_target(spark)(self._name_jobs)
        self._thread = Undisturbed()

    def __enter__(self) -> Self:
        self.do("Spark can't be asked", self._begin)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._thread.end()

    def _name_jobs(self) -> None:
        self._context.addJobTag(self._name)
        self._context.setInterruptOnCancel(True)  # else tasks that are cancelled would read on to their ends

    def do(self, what: str, act: Callable[[], Result]) -> Result:
        """Return what `act` returns, and say its failures in our words: a line of its own, without keys and numbers.

        Raises:
            DestinationError: it failed.
            KeyboardInterrupt: it was interrupted; none of its tasks goes on.
        """
        try:
            return self._thread.call(act, self._cancel)
        except KeyboardInterrupt:
            self._await_end_of_tasks()
            raise
        except Exception as exc:  # noqa: BLE001  # Java's exceptions, and PySpark's
            lines = str(exc).strip().splitlines() or [type(exc).__name__]
        raise DestinationError(f"{what}: {hide_numbers(REDACT(lines[0]))[:_LONGEST_TOLD]}")

    def _cancel(self) -> None:
        self._context.cancelJobsWithTag(self._name)

    def _await_end_of_tasks(self) -> None:
        """Wait for tasks that were cancelled, not for ever: one that still writes would bring its directory back."""
        until = time.monotonic() + _LONGEST_END
        tracker = self._context._jsc.sc().statusTracker()
        while any(one.numRunningTasks() for one in tracker.getExecutorInfos()) and time.monotonic() < until:
            time.sleep(0.05)
