"""Apache Spark: the data source `smspartner`, whose tasks read a group of tags each.

    spark.dataSource.register(SmsPartnerSource)
    statuses = spark.read.format("smspartner").option("tags", "promo-nov,relance").load()

The API key is no option: it is read where the tasks run. What leaves a task as an exception is printed by executors,
sent to the driver and logged: it is one of the product's own, or says nothing but its class. Every action starts Python
processes that only plan it: what reads and types rows is imported where a task does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

from smspartner.api_key import read_api_key
from smspartner.connection import BASE_URL_VARIABLE, Connection, Rate, check_base_url, parse_rate
from smspartner.errors import NotComplete, QuarantinedRows, SettingsError, SmsPartnerError, raise_alone
from smspartner.tags import check_no_secret, check_tags
from smspartner.vendor import DEFAULT_BASE_URL
from smspartner_schemas.arrow import plain_schema
from smspartner_schemas.contract import ACCEPTED, TABLES, PhoneForm

try:
    from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.sql.types import StructType
except ModuleNotFoundError:
    raise SettingsError("the library pyspark is missing", remedy="pip install 'smspartner-connector[spark]'") from None

if TYPE_CHECKING:
    import pyarrow as pa
    from smspartner.snapshot import Snapshot

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


_LIMITS: dict[str, Callable[[str], Any]]
_LIMITS = {"concurrency": int, "rate": parse_rate, "timeout": float, "retries": int, "backoff": float}
"""Options that are limits of a `Connection`, and how their texts are read."""

_READ: dict[str, Callable[[str], Any]] = {
    "tags": lambda text: [tag for one in text.split("\n" if "\n" in text else ",") if (tag := one.strip())],
    "table": _one_of(*_TABLES),
    "onIncomplete": _one_of("fail", "report"),
    "allowQuarantined": _count,
    "tasks": _count,
    "phoneNumbers": _one_of(*get_args(PhoneForm)),
    "baseUrl": check_base_url,
    **_LIMITS,
}
_DEFAULTS = {"table": "statuses", "onIncomplete": "fail", "allowQuarantined": 0, "tasks": 0, "phoneNumbers": "plain"}


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
        return from_arrow_schema(plain_schema(_TABLES[_read_options(self.options)["table"]]))

    def reader(self, schema: StructType) -> SmsPartnerReader:  # noqa: ARG002  # Spark checks it against the rows
        """Give what reads the tags."""
        return SmsPartnerReader(_read_options(self.options))


def _read_options(given: Mapping[str, str]) -> dict[str, Any]:
    """Read the options as Spark gives them: texts, under names in any case. No value is shown: it may be a secret."""
    spelled = {name.lower(): name for name in _READ}
    here = check_base_url(os.environ.get(BASE_URL_VARIABLE) or DEFAULT_BASE_URL)
    options: dict[str, Any] = {**_DEFAULTS, "baseUrl": here, "tags": ()}
    for name, text in given.items():
        option = spelled.get(name.lower())
        if option is None:
            raise SettingsError(f"there is no option {name}", remedy=f"give {', '.join(_READ)}; {_NO_KEY}")
        try:
            options[option] = _READ[option](text.strip())
        except ValueError:
            raise_alone(SettingsError(f"the value of the option {name} is not understood", remedy="correct it"))
    return {**options, "tags": tuple(check_tags(options["tags"]))}


class SmsPartnerReader(DataSourceReader):
    """Divides the tags among tasks, and reads the share of one."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options

    def partitions(self) -> list[InputPartition]:
        """Divide the tags among `tasks`, else as many as this machine has cores: Spark says nothing of its cluster."""
        from smspartner.snapshot import new_run_id

        tags, run_id = self._options["tags"], new_run_id()
        tasks = min(self._options["tasks"] or os.cpu_count() or 1, len(tags))
        return [InputPartition(_Task(number, tasks, tags[number::tasks], run_id)) for number in range(tasks)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Read the tags of a task; this runs where the task does.

        Raises:
            SmsPartnerError: no key, a refused one, a tag that is not complete (NotComplete, when all tags are read), or
                rows in quarantine (QuarantinedRows).
        """
        try:
            yield from self._batches(partition.value)
        except SmsPartnerError as exc:
            raise_alone(exc.with_traceback(None))
        except Exception as exc:  # noqa: BLE001  # what a library says may hold a URL with the key
            raise_alone(SmsPartnerError(f"{type(exc).__name__} while tags were read", remedy="report this bug"))

    def _batches(self, task: _Task) -> Iterator[pa.RecordBatch]:
        """Give the rows of the table asked for, and refuse at the end what is not complete or not valid."""
        table, not_complete, quarantined = self._options["table"], {}, {}
        for snapshot in self._snapshots(task):
            if snapshot.verdict not in ACCEPTED:
                not_complete[snapshot.tag] = (snapshot.verdict, snapshot.reason)
            elif snapshot.quarantine.num_rows > self._options["allowQuarantined"]:
                quarantined[snapshot.tag] = snapshot.quarantine.num_rows
            yield from (batch for batch in _rows(snapshot, table).to_batches(_BATCH_ROWS) if batch.num_rows)
        if self._options["onIncomplete"] == "report" or table == "tag_runs":
            return
        if not_complete:
            raise NotComplete(not_complete)
        if quarantined and table == "statuses":
            remedy = "read the table quarantine, or allow so many of a tag (allowQuarantined)"
            raise QuarantinedRows(quarantined, remedy)

    def _snapshots(self, task: _Task) -> Iterator[Snapshot]:
        from smspartner.extract import extract
        from smspartner.transform import transform

        from smspartner_pipelines.settings import phone_privacy

        limits = {name: self._options[name] for name in _LIMITS if name in self._options}
        whole = Connection(read_api_key(), self._options["baseUrl"], **limits)
        populations = extract(task.tags, task.share(whole), threading.Event())
        check_no_secret(task.tags)
        with closing(transform(populations, task.run_id, phone_privacy(self._options["phoneNumbers"]))) as snapshots:
            for snapshot in filter(None, snapshots):
                if snapshot.complete:
                    snapshot.check_counts()
                yield snapshot


def _rows(snapshot: Snapshot, table: str) -> pa.Table:
    import pyarrow as pa

    from smspartner_pipelines.outcome import tag_run

    schema = plain_schema(_TABLES[table])
    if table == "tag_runs":
        return pa.Table.from_pylist([tag_run(snapshot)], schema=schema)
    return (snapshot.table if table == "statuses" else snapshot.quarantine).cast(schema)
