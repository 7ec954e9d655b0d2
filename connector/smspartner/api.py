"""The library's front door: snapshots one at a time, or all rows as one typed pandas frame."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from smspartner.api_key import KEY_COMMAND_VARIABLE, KEY_FILE_VARIABLE, KEY_VARIABLE, NO_KEY_REMEDY
from smspartner.connection import Connection, connection_from_environment
from smspartner.errors import NotComplete, QuarantinedRows, SettingsError, SmsPartnerError
from smspartner.privacy import PhonePrivacy
from smspartner.tags import check_no_secret, check_tags

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from smspartner.snapshot import Snapshot

_ASKED_FOR = "smspartner.Connection(smspartner.Secret(getpass.getpass()))"
_PRIVACY = "smspartner.PhonePrivacy('masked'), 'plain' or 'hashed'"


def iter_snapshots(
    tags: Iterable[str], connection: Connection | None = None, *, privacy: PhonePrivacy | None = None
) -> Iterator[Snapshot]:
    """Read tags side by side and give one snapshot after the other, as they finish: a slow tag holds back no other.

    Without a `connection`, the environment gives base URL (`SMSPARTNER_BASE_URL`) and key: `SMSPARTNER_API_KEY`, or the
    file or command that `SMSPARTNER_API_KEY_FILE` or `SMSPARTNER_API_KEY_COMMAND` names.
    Every tag is given, with its verdict; only `complete` ones hold rows. `snapshot.table` and `snapshot.quarantine` are
    pyarrow tables with the schemas of `statuses` and `quarantine`. Memory depends on a few tags, not on their number.

    Raises:
        SettingsError: no key, a tag that can't be one (TagError), or an argument of another kind. Nothing was
            requested.
        AccessRefused: the API refuses the key or the account; what was read completely before was given.
    """
    checked = check_tags(tags)
    connection = _connection_here() if connection is None else connection
    privacy = PhonePrivacy() if privacy is None else privacy
    kinds = (("connection", connection, Connection, _ASKED_FOR), ("privacy", privacy, PhonePrivacy, _PRIVACY))
    for name, given, kind, example in kinds:
        if not isinstance(given, kind):  # and not shown: it may be the key
            raise SettingsError(f"{name} is {type(given).__name__}", remedy=f"give {example}")
    check_no_secret(checked)
    return _snapshots(checked, connection, privacy)


def _connection_here() -> Connection:
    """Connect as the environment says; a caller in a notebook may not have set one."""
    if any(map(os.environ.get, (KEY_VARIABLE, KEY_FILE_VARIABLE, KEY_COMMAND_VARIABLE))):
        return connection_from_environment()
    remedy = f"{NO_KEY_REMEDY}, before Python (or the notebook's kernel) starts; or ask for it: connection={_ASKED_FOR}"
    raise SettingsError("there is no API key", remedy=remedy)


def _snapshots(tags: list[str], connection: Connection, privacy: PhonePrivacy) -> Iterator[Snapshot]:
    from smspartner.extract import extract
    from smspartner.snapshot import new_run_id
    from smspartner.transform import transform

    populations = extract(tags, connection, threading.Event())
    with closing(transform(populations, new_run_id(), privacy)) as snapshots:
        for snapshot in snapshots:
            if snapshot is not None:  # a tick: nothing came for a while
                yield snapshot


def read_statuses(
    tags: Iterable[str],
    connection: Connection | None = None,
    *,
    privacy: PhonePrivacy | None = None,
    allow_quarantined: int = 0,
) -> pd.DataFrame:
    """Read all rows of tags as one pandas frame with the columns and dtypes of `statuses`.

    `tag`, `country`, `status`, `run_id` are categoricals, `phone_number` is `str` (`object` in pandas 2), `occurrence`
    int32, `stop_sms` bool, `status_at` and `extracted_at` are `datetime64[us, UTC]`. Rows are in the order of `tags`,
    then of the API.

    Raises:
        NotComplete: a tag is not complete, or `unknown`, which `smspartner run` accepts; `verdicts` say which and why.
        QuarantinedRows: more than `allow_quarantined` rows are not valid; `iter_snapshots` shows them.
        SettingsError, AccessRefused: as `iter_snapshots`.
    """
    import pyarrow as pa
    from smspartner_schemas.arrow import empty_table
    from smspartner_schemas.contract import STATUSES
    from smspartner_schemas.frames import to_frame

    order = check_tags(tags)
    tables = _tables(order, iter_snapshots(order, connection, privacy=privacy), allow_quarantined)
    if isinstance(tables, SmsPartnerError):
        raise tables
    return to_frame(pa.concat_tables([empty_table(STATUSES), *(tables[tag] for tag in order)]))


def _tables(
    order: list[str], snapshots: Iterator[Snapshot], allow_quarantined: int
) -> dict[str, pa.Table] | SmsPartnerError:
    """Collect the rows by tag, or say what is wrong: returned, so that no frame of a traceback holds phone numbers."""
    tables, not_complete, quarantined = {}, {}, {}
    for snapshot in snapshots:
        tables[snapshot.tag] = snapshot.table
        if not snapshot.complete:
            not_complete[snapshot.tag] = (snapshot.verdict, snapshot.reason)
        if snapshot.quarantine.num_rows:
            quarantined[snapshot.tag] = snapshot.quarantine.num_rows
    if not_complete:
        return NotComplete({tag: not_complete[tag] for tag in order if tag in not_complete})
    if sum(quarantined.values()) > allow_quarantined:
        return QuarantinedRows({tag: quarantined[tag] for tag in order if tag in quarantined})
    return tables
