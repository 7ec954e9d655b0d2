"""What tasks have read, in a directory that only lives as long as the run: written by Spark's own commit protocol.

A task that dies, or runs twice, leaves nothing there but what one of its attempts committed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from smspartner.errors import CountMismatch, DestinationError
from smspartner.redaction import REDACT, hide_numbers
from smspartner.snapshot import Snapshot

from smspartner_pipelines.spark.everything import failure_of, snapshots_of

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import DataFrame, SparkSession

Result = TypeVar("Result")

ROWS_AT_ONCE = 250_000
"""Rows that the driver fetches at a time, about; a tag is never divided."""

_ONLY_US = "700"
_LONGEST_TOLD = 300
_LONGEST_END = 15.0
"""Seconds; Spark kills the Python of a cancelled task after two."""


class StagingDirectory:
    """A directory on any file system that Spark knows, made for the user alone, and removed in the end."""

    def __init__(self, spark: SparkSession, place: str) -> None:
        self._spark = spark
        self._place = place
        self.rows = f"{place}/rows"

    def __enter__(self) -> StagingDirectory:
        told("the staging directory can't be made", self._make)
        return self

    def __exit__(self, *exc_info: object) -> None:
        told("the staging directory can't be removed, and holds phone numbers", self._remove)

    def _make(self) -> None:
        hadoop = self._spark._jvm.org.apache.hadoop.fs  # PySpark has no other way to file systems
        self._path = hadoop.Path(self._place)
        self._system = self._path.getFileSystem(self._spark._jsc.hadoopConfiguration())
        if self._system.exists(self._path):
            raise DestinationError("it is there already: name another one")
        only_us = hadoop.permission.FsPermission(_ONLY_US)
        self._system.mkdirs(self._path, only_us)
        self._system.setPermission(self._path, only_us)  # whatever the process's mask says

    def _remove(self) -> None:
        self._system.delete(self._path, True)


@contextmanager
def cancelled_when_left(spark: SparkSession, name: str) -> Iterator[None]:
    """Within the block, jobs bear a name; leaving it by an exception (Ctrl-C, say) ends them."""
    context = spark.sparkContext
    context.addJobTag(name)
    context.setInterruptOnCancel(True)  # else its tasks would read on to their ends
    try:
        yield
    except BaseException:
        context.cancelJobsWithTag(name)
        _await_end_of_tasks(context)
        raise
    finally:
        context.setInterruptOnCancel(False)
        context.removeJobTag(name)


def _await_end_of_tasks(context: SparkContext) -> None:
    """Wait for tasks that were cancelled, though not for ever: one that still writes would bring the directory back."""
    until = time.monotonic() + _LONGEST_END
    tracker = context._jsc.sc().statusTracker()
    while any(one.numRunningTasks() for one in tracker.getExecutorInfos()) and time.monotonic() < until:
        time.sleep(0.05)


def told(what: str, act: Callable[[], Result]) -> Result:
    """Do something that Spark does, and say its failures in our words: a line of its own, without keys and numbers.

    Raises:
        DestinationError: it failed.
    """
    try:
        return act()
    except Exception as exc:  # noqa: BLE001  # Java's exceptions, and PySpark's
        lines = str(exc).strip().splitlines() or [type(exc).__name__]
    raise DestinationError(f"{what}: {hide_numbers(REDACT(lines[0]))[:_LONGEST_TOLD]}")


def staged_snapshots(
    spark: SparkSession, rows: str, tags: int, expect_rows: Callable[[], None]
) -> Generator[list[Snapshot]]:
    """Give the snapshots that were staged in the directory `rows`, in the order of the tags.

    Raises:
        SettingsError, AccessRefused: what ended a task, which ends the run before anything is loaded.
        CountMismatch: rows are missing, or there twice.
        DestinationError: what executors wrote can't be read here.
    """
    staged = told("what was staged can't be read", lambda: spark.read.parquet(rows))
    runs, facts = _verdicts(staged)
    ended = failure_of(facts)
    if ended is not None:
        raise ended
    if [fact["place"] for fact in facts] != list(range(tags)):
        raise CountMismatch(
            f"of {tags} tags, {len(facts)} were staged: name a staging directory that driver and executors share"
        )
    if any(run["rows_loaded"] for run in runs):
        expect_rows()
    for begin, end in _stretches([run["rows_received"] for run in runs]):
        some = _rows(staged, begin, end)
        yield list(snapshots_of(some, runs[begin:end], facts[begin:end]))


def _verdicts(staged: DataFrame) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Give the row of `tag_runs` and the facts of each tag, in order; those of tasks that failed come first."""
    chosen = staged.where("facts is not null").select("place", "tag_runs", "facts")
    table = told("what was staged can't be read", chosen.toArrow)
    found = sorted(table.to_pylist(), key=lambda one: -1 if one["place"] is None else one["place"])
    return [one["tag_runs"] for one in found], [{"place": one["place"], **json.loads(one["facts"])} for one in found]


def _rows(staged: DataFrame, begin: int, end: int) -> Any:
    chosen = staged.where(f"facts is null and place >= {begin} and place < {end}")
    return told("what was staged can't be read", chosen.toArrow)


def _stretches(sizes: list[int]) -> Iterator[tuple[int, int]]:
    """Divide tags with so many rows into stretches of neighbours that are fetched together."""
    begin, held = 0, 0
    for place, size in enumerate(sizes):
        held += size
        if held >= ROWS_AT_ONCE or place == len(sizes) - 1:
            yield begin, place + 1
            begin, held = place + 1, 0
