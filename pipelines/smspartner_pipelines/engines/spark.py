"""Apache Spark: the data source `smspartner`, whose tasks read a group of tags each.

    spark.dataSource.register(SmsPartnerSource)
    statuses = spark.read.format("smspartner").option("tags", "promo-nov,relance").load()

The API key is no option: it is read where the tasks run. What leaves a task as an exception is printed by executors,
sent to the driver and logged: it is one of the product's own, or says nothing but its class.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Any, get_args

import pyarrow as pa
from smspartner.api_key import read_api_key
from smspartner.connection import BASE_URL_VARIABLE, Connection, Rate, check_base_url, parse_rate
from smspartner.errors import NotComplete, QuarantinedRows, SettingsError, SmsPartnerError
from smspartner.extract import extract
from smspartner.snapshot import Snapshot, new_run_id
from smspartner.tags import check_no_secret, check_tags, read_tags_file
from smspartner.transform import transform
from smspartner.vendor import DEFAULT_BASE_URL
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import ACCEPTED, TABLES, PhoneForm

from smspartner_pipelines.outcome import tag_run
from smspartner_pipelines.settings import phone_privacy

try:
    from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.sql.types import StructType
except ModuleNotFoundError:
    raise SettingsError("the library pyspark is missing", remedy="pip install 'smspartner-connector[spark]'") from None

__all__ = ["SmsPartnerSource"]

_BATCH_ROWS = 64 * 1024
_TABLES = {table.name: table for table in TABLES}
_NO_KEY = "the API key is read where the tasks run: set SMSPARTNER_API_KEY or SMSPARTNER_API_KEY_FILE there"


def _one_of(*words: str) -> Callable[[str], str]:
    return lambda text: words[words.index(text.lower())]


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError
    return int(text)


_READ: dict[str, tuple[str, Callable[[str], Any]]] = {
    "tags": ("tags", lambda text: [tag for one in text.split("\n" if "\n" in text else ",") if (tag := one.strip())]),
    "tagsFile": ("tags_file", read_tags_file),
    "table": ("table", _one_of(*_TABLES)),
    "onIncomplete": ("on_incomplete", _one_of("fail", "report")),
    "allowQuarantined": ("allow_quarantined", _count),
    "tasks": ("tasks", _count),
    "phoneNumbers": ("phone_numbers", _one_of(*get_args(PhoneForm))),
    "baseUrl": ("base_url", check_base_url),
    "concurrency": ("concurrency", int),
    "rate": ("rate", parse_rate),
    "timeout": ("timeout", float),
    "retries": ("retries", int),
    "backoff": ("backoff", float),
    "verify": ("verify", lambda text: _one_of("false", "true")(text) == "true"),
}
"""Each option, with the name that it has here, and how its text is read."""

_DEFAULTS = {"table": "statuses", "on_incomplete": "fail", "allow_quarantined": 0, "tasks": 0, "phone_numbers": "plain"}
_CONNECTION = ("base_url", "concurrency", "rate", "timeout", "retries", "backoff", "verify")


@dataclass(frozen=True)
class _Task:
    """The tags of one task, which is the `number`-th (from 0) of `tasks`; all write the same `run_id`."""

    number: int
    tasks: int
    tags: tuple[str, ...]
    run_id: str

    def share(self, whole: Connection) -> Connection:
        """Give the task's share of what all tasks together may ask for."""
        rate = whole.rate and Rate(whole.rate.count / self.tasks, whole.rate.per_seconds)
        concurrency = whole.concurrency // self.tasks + (self.number < whole.concurrency % self.tasks)
        return replace(whole, rate=rate, concurrency=max(1, concurrency))


class SmsPartnerSource(DataSource):
    """The table `statuses`, `quarantine` or `tag_runs` of tags; each action reads them from the API.

    The read fails for a tag that is neither complete nor unknown, or has more than `allowQuarantined` rows in
    quarantine; with `onIncomplete` as `report` it goes on, and `tag_runs`, which always reports, gives the verdicts.
    """

    @classmethod
    def name(cls) -> str:
        """Give the name of the format."""
        return "smspartner"

    def schema(self) -> StructType:
        """Give the schema of the table asked for.

        Raises:
            SettingsError: an option is unknown or wrong; nothing was requested.
        """
        return from_arrow_schema(_plain_schema(_read_options(self.options)["table"]))

    def reader(self, schema: StructType) -> SmsPartnerReader:  # noqa: ARG002  # Spark checks it against the rows
        """Give what reads the tags."""
        return SmsPartnerReader(_read_options(self.options))


def _read_options(given: Mapping[str, str]) -> dict[str, Any]:
    """Read the options as Spark gives them: texts, under names in any case. No value is shown: it may be a secret."""
    spelled = {name.lower(): name for name in _READ}
    options: dict[str, Any] = {
        **_DEFAULTS,
        "base_url": check_base_url(os.environ.get(BASE_URL_VARIABLE) or DEFAULT_BASE_URL),
    }
    for name, text in given.items():
        if name.lower() not in spelled:
            raise SettingsError(f"there is no option {name}", remedy=f"give {', '.join(_READ)}; {_NO_KEY}")
        option, read = _READ[spelled[name.lower()]]
        with suppress(ValueError):
            options[option] = read(text.strip())
            continue
        raise SettingsError(f"the value of the option {name} is not understood", remedy="correct it")
    return {**options, "tags": tuple(check_tags([*options.get("tags", ()), *options.pop("tags_file", ())]))}


class SmsPartnerReader(DataSourceReader):
    """Divides the tags among tasks, and reads the share of one."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options

    def partitions(self) -> list[InputPartition]:
        """Divide the tags among `tasks`, else as many as this machine has cores: Spark says nothing of its cluster."""
        tags, run_id = self._options["tags"], new_run_id()
        tasks = min(self._options["tasks"] or os.cpu_count() or 1, len(tags))
        return [InputPartition(_Task(number, tasks, tags[number::tasks], run_id)) for number in range(tasks)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Read the tags of a task; this runs where the task does.

        Raises:
            SmsPartnerError: no key, a refused one, a tag that is not complete (NotComplete, when all tags are read), or
                rows in quarantine (QuarantinedRows).
        """
        failure: SmsPartnerError | None = None
        try:
            yield from self._batches(partition.value)
        except SmsPartnerError as exc:
            failure = exc.with_traceback(None)
        except Exception as exc:  # noqa: BLE001  # what a library says may hold a URL with the key
            failure = SmsPartnerError(f"{type(exc).__name__} while tags were read", remedy="report this bug")
        if failure is not None:
            failure.__cause__ = failure.__context__ = None
            raise failure

    def _batches(self, task: _Task) -> Iterator[pa.RecordBatch]:
        """Give the rows of the table asked for, and refuse at the end what is not complete or not valid."""
        table, not_complete, quarantined = self._options["table"], {}, {}
        for snapshot in self._snapshots(task):
            if snapshot.verdict not in ACCEPTED:
                not_complete[snapshot.tag] = (snapshot.verdict, snapshot.reason)
            elif snapshot.quarantine.num_rows > self._options["allow_quarantined"]:
                quarantined[snapshot.tag] = snapshot.quarantine.num_rows
            yield from (batch for batch in _rows(snapshot, table).to_batches(_BATCH_ROWS) if batch.num_rows)
        reports = self._options["on_incomplete"] == "report" or table == "tag_runs"
        if not_complete and not reports:
            raise NotComplete(not_complete)
        if quarantined and not reports and table == "statuses":
            raise QuarantinedRows(
                quarantined, "read the table quarantine, or allow so many of a tag (allowQuarantined)"
            )

    def _snapshots(self, task: _Task) -> Iterator[Snapshot]:
        reach = {name: self._options[name] for name in _CONNECTION if name in self._options}
        populations = extract(task.tags, task.share(Connection(read_api_key(), **reach)), threading.Event())
        check_no_secret(task.tags)
        with closing(transform(populations, task.run_id, phone_privacy(self._options["phone_numbers"]))) as snapshots:
            for snapshot in filter(None, snapshots):
                if snapshot.complete:
                    snapshot.check_counts()
                yield snapshot


def _plain_schema(table: str) -> pa.Schema:
    """Return the Arrow schema of a table of the contract as Spark knows it: without dictionaries."""
    plain = {"reasons": pa.list_(pa.field("element", pa.string()))}
    fields = arrow_schema(_TABLES[table])
    return pa.schema([(one.name, plain.get(one.name, getattr(one.type, "value_type", one.type))) for one in fields])


def _rows(snapshot: Snapshot, table: str) -> pa.Table:
    schema = _plain_schema(table)
    if table == "tag_runs":
        return pa.Table.from_pylist([tag_run(snapshot)], schema=schema)
    return (snapshot.table if table == "statuses" else snapshot.quarantine).cast(schema)
