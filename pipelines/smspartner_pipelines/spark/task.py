"""What one task does: the product's own extractor and transformer on a group of tags, in batches as Spark takes them.

An exception that leaves here is printed on the executor, sent to the driver and logged: it is one of the product's own,
or says nothing but its class.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import pyarrow as pa
from smspartner.erasure import ErasedNumbers, Erasure
from smspartner.errors import NotComplete, QuarantinedRows, SmsPartnerError
from smspartner.snapshot import Snapshot, take_snapshots
from smspartner.tags import check_no_secret
from smspartner_schemas.contract import ACCEPTED

from smspartner_pipelines.environment import phone_privacy
from smspartner_pipelines.progress import Silent
from smspartner_pipelines.run import read_snapshots
from smspartner_pipelines.spark.everything import everything, failure, tag_runs_of
from smspartner_pipelines.spark.options import ReadOptions
from smspartner_pipelines.spark.schema import EVERYTHING, schema_of

BATCH_ROWS = 64 * 1024
_REMEDY = "the table quarantine shows them with their reasons, allowQuarantined accepts that many of a tag"


@dataclass(frozen=True)
class TagGroup:
    """The tags of one task, the `number`-th (from 0) of `groups`; `place` is where they begin in the list of all."""

    number: int
    groups: int
    place: int
    tags: tuple[str, ...]


def read_group(group: TagGroup, options: ReadOptions) -> Iterator[pa.RecordBatch]:
    """Read the tags and give the rows of the table asked for.

    Raises:
        SettingsError: there is no key where this runs.
        AccessRefused: the API refuses the key or the account.
        NotComplete: a tag is neither complete nor unknown; said once all tags are read, and unless asked to report.
        QuarantinedRows: a tag has too many rows in quarantine; said at the end, too.
    """
    ended: SmsPartnerError | None = None
    try:
        with closing(_snapshots(group, options)) as snapshots:
            yield from _batches(group, options, snapshots if options.report else _demanding(snapshots, options))
    except SmsPartnerError as exc:
        ended = exc
    except Exception as exc:  # noqa: BLE001  # whatever a library says may hold what nobody shall read
        ended = SmsPartnerError(f"{type(exc).__name__} while tags were read; please report this bug")
    if ended is not None and options.staging is not None:
        yield from failure(ended).to_batches()
    elif ended is not None:
        raise ended.with_traceback(None)


def _snapshots(group: TagGroup, options: ReadOptions) -> Generator[list[Snapshot]]:
    connection = options.connection(group.number, group.groups)
    check_no_secret(group.tags)
    privacy = phone_privacy(options.phone_numbers)
    records = options.staging.erased if options.staging else ()
    erased = ErasedNumbers((Erasure(*record, datetime.now(UTC), {}) for record in records), privacy)
    take = partial(take_snapshots, run_id=options.run_id, privacy=privacy, erased=erased)
    return read_snapshots(connection, group.tags, take, lambda: None, Silent())


def _demanding(snapshots: Iterator[list[Snapshot]], options: ReadOptions) -> Iterator[list[Snapshot]]:
    """Give the snapshots, and refuse at the end what is not complete or not believed."""
    lacking, doubted = {}, {}
    for some in snapshots:
        for snapshot in some:
            if snapshot.verdict not in ACCEPTED:
                lacking[snapshot.tag] = (snapshot.verdict, snapshot.reason)
            elif snapshot.quarantine.num_rows > options.allow_quarantined:
                doubted[snapshot.tag] = snapshot.quarantine.num_rows
        yield some
    if lacking:
        raise NotComplete(lacking)
    if doubted:
        raise QuarantinedRows(doubted, _REMEDY)


def _batches(group: TagGroup, options: ReadOptions, snapshots: Iterator[list[Snapshot]]) -> Iterator[pa.RecordBatch]:
    place = group.place
    for some in snapshots:
        if options.table == EVERYTHING:
            table = everything(some, place, options)
        else:
            table = _TABLES[options.table](some, options.run_id).cast(schema_of(options.table))
        yield from (batch for batch in table.to_batches(max_chunksize=BATCH_ROWS) if batch.num_rows)
        place += len(some)


_TABLES: dict[str, Callable[[list[Snapshot], str], pa.Table]] = {
    "statuses": lambda snapshots, _: pa.concat_tables([one.table for one in snapshots]),
    "quarantine": lambda snapshots, _: pa.concat_tables([one.quarantine for one in snapshots]),
    "tag_runs": tag_runs_of,
}
"""How the rows of each table of the contract come from snapshots."""
