"""What tasks have read, in a directory that only lives as long as the run: written by Spark's own commit protocol.

A task that dies, or runs twice, leaves nothing there but what one of its attempts committed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from smspartner.errors import CountMismatch, DestinationError
from smspartner.snapshot import Snapshot

from smspartner_pipelines.spark.everything import failure_of, snapshots_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from smspartner_pipelines.spark.jobs import Jobs

ROWS_AT_ONCE = 250_000
"""Rows that the driver fetches at a time, about; a tag is never divided."""

_ONLY_US = "700"


class StagingDirectory:
    """A directory on any file system that Spark knows, made for the user alone, and removed in the end."""

    def __init__(self, spark: SparkSession, jobs: Jobs, place: str) -> None:
        self._spark = spark
        self._jobs = jobs
        self._place = place
        self.rows = f"{place}/rows"

    def __enter__(self) -> StagingDirectory:
        self._jobs.do("the staging directory can't be made", self._make)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._jobs.do("the staging directory can't be removed, and holds phone numbers", self._remove)

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


def staged_snapshots(
    jobs: Jobs, staged: Callable[[], DataFrame], tags: int, expect_rows: Callable[[], None]
) -> Generator[list[Snapshot]]:
    """Give the snapshots of what `staged` reads, in the order of the tags.

    Raises:
        SettingsError, AccessRefused: what ended a task, which ends the run before anything is loaded.
        CountMismatch: rows are missing, or there twice.
        DestinationError: what executors wrote can't be read here.
    """
    fetch = partial(jobs.do, "what was staged can't be read")
    frame = fetch(staged)
    runs, facts = fetch(partial(_verdicts, frame))
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
        some = fetch(partial(_rows, frame, begin, end))
        yield list(snapshots_of(some, runs[begin:end], facts[begin:end]))


def _verdicts(staged: DataFrame) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Give the row of `tag_runs` and the facts of each tag, in order; those of tasks that failed come first."""
    table = staged.where("facts is not null").select("place", "tag_runs", "facts").toArrow()
    found = sorted(table.to_pylist(), key=lambda one: -1 if one["place"] is None else one["place"])
    return [one["tag_runs"] for one in found], [{"place": one["place"], **json.loads(one["facts"])} for one in found]


def _rows(staged: DataFrame, begin: int, end: int) -> Any:
    return staged.where(f"facts is null and place >= {begin} and place < {end}").toArrow()


def _stretches(sizes: list[int]) -> Iterator[tuple[int, int]]:
    """Divide tags with so many rows into stretches of neighbours that are fetched together."""
    begin, held = 0, 0
    for place, size in enumerate(sizes):
        held += size
        if held >= ROWS_AT_ONCE or place == len(sizes) - 1:
            yield begin, place + 1
            begin, held = place + 1, 0
