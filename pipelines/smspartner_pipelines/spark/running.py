"""A run whose tags are read by Spark's executors, and loaded by the driver as by any other run."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smspartner.api_key import read_api_key
from smspartner.errors import SettingsError
from smspartner_pipelines.load import local_directory
from smspartner.redaction import REDACT, guard_logging
from smspartner.snapshot import Snapshot
from smspartner.tags import check_tags
from smspartner.api_key import KEY_VARIABLE

from smspartner_pipelines.given import secrets_of_the_environment
from smspartner_pipelines.outcomes import RunOutcome
from smspartner_pipelines.run import Wanted, run_reading
from smspartner_pipelines.spark.jobs import Jobs
from smspartner_pipelines.spark.options import KEY_REMEDY, Staging, write_options
from smspartner_pipelines.spark.settings import run_settings
from smspartner_pipelines.spark.source import SmsPartnerSource
from smspartner_pipelines.spark.staging import StagingDirectory, staged_snapshots

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SHOWN_PREFIXES = ("spark.executorEnv.", "spark.yarn.appMasterEnv.", "spark.kubernetes.driverEnv.")
"""Where Spark's configuration names environment variables, with their values for all to see."""


def run(
    spark: SparkSession,
    tags: Iterable[str],
    *,
    to: str | Iterable[str],
    staging: str | None = None,
    partitions: int | None = None,
    **settings: Any,
) -> RunOutcome:
    """Read the tags that need it once, on the executors, and load them into every destination, tag by tag.

    `staging` names a directory that does not exist yet, which the driver and all executors reach: what is read stands
    there, phone numbers included, until the run ends. Without it, it is a temporary directory of this machine where
    Spark is local, else one beside the first destination that is a directory. `partitions` is the number of tasks;
    without it, Spark's default parallelism. `settings` are the long names of the options of `smspartner run`, with `_`
    for `-`: `base_url`, `concurrency`, `rate`, `timeout`, `retries`, `backoff`, `verify`, `refresh`, `fresh_for`,
    `validate`, `expectations`, `allow_quarantined`, `allow_shrink`, `phone_numbers`, `csv_dialect`.

    Returns what became of each tag and of the run, with its `exit_code`; a tag that is not complete is not loaded.

    Raises:
        SettingsError, DestinationBusy, DestinationError: as `smspartner_pipelines.run.run`; and there is no key where
            the tasks run.
    """
    _learn_secrets(spark)
    settled, reach = run_settings(tuple(check_tags(tags)), (to,) if isinstance(to, str) else tuple(to), settings)
    tasks = partitions or spark.sparkContext.defaultParallelism

    def read(wanted: Wanted) -> Generator[list[Snapshot]]:
        if not wanted.tags:
            return
        keeping = Staging(tuple(wanted.erased.records), raw=settled.expectations is not None)
        options = write_options(replace(reach, run_id=wanted.run_id), wanted.tags, tasks, keeping)
        place = staging or _usual_staging(spark, settled.to, wanted.run_id)
        with Jobs(spark, f"smspartner-{wanted.run_id}") as jobs, StagingDirectory(spark, jobs, place) as directory:
            jobs.do("Spark could not read the tags", partial(_stage, spark, options, directory.rows))
            staged = partial(spark.read.parquet, directory.rows)
            yield from staged_snapshots(jobs, staged, len(wanted.tags), wanted.expect_rows)

    return run_reading(settled, read)


def _stage(spark: SparkSession, options: dict[str, str], rows: str) -> None:
    spark.dataSource.register(SmsPartnerSource)
    spark.read.format(SmsPartnerSource.name()).options(**options).load().write.parquet(rows)


def _learn_secrets(spark: SparkSession) -> None:
    """Know the key where the driver has one, so that nothing is written that holds it; refuse it where Spark shows it.

    Raises:
        SettingsError: Spark's configuration holds the key.
    """
    guard_logging(REDACT)
    for secret in secrets_of_the_environment():
        REDACT.add(secret)
    with suppress(SettingsError):  # the driver needs none
        read_api_key()
    for prefix in _SHOWN_PREFIXES:
        if spark.conf.get(f"{prefix}{KEY_VARIABLE}", None) is not None:
            raise SettingsError(f"{prefix}{KEY_VARIABLE} is shown in Spark's pages and logs; {KEY_REMEDY}")


def _usual_staging(spark: SparkSession, to: Sequence[str], run_id: str) -> str:
    """Name a new directory that all tasks reach, as far as can be told.

    Raises:
        SettingsError: none is known.
    """
    if spark.sparkContext.master.startswith("local"):
        return (Path(tempfile.gettempdir()).resolve() / f"smspartner-{run_id}").as_uri()
    for place in filter(None, map(local_directory, to)):
        path = Path(place).resolve()
        return path.with_name(f".{path.name}.staging-{run_id}").as_uri()
    raise SettingsError("name a staging directory that the driver and all executors reach: staging='hdfs://…', say")
