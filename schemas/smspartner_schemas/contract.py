"""The contract: every column of every table, with its type, nullability and allowed values.

This module is the only place that states them. Arrow schemas, pandas dtypes, the Great Expectations suite, the native
row rules, SQL and pages are derived from it. It imports the standard library alone: printing the contract starts fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Literal

ColumnType = Literal["string", "int32", "int64", "float64", "bool", "timestamp", "strings"]
"""`timestamp` is microseconds in UTC; `strings` is a list of strings."""

PhoneForm = Literal["plain", "masked", "hashed"]

CONTRACT_VERSION = 2
"""Goes up with every change that an older reader or loader could not live with."""

REPORT_VERSION = 1  # the same for the run report, whose schema is `run_report.schema.json`


@dataclass(frozen=True)
class Column:
    """One column and the values it allows.

    `pattern` must match the whole value; `minimum` and `maximum` are inclusive. `categorical` columns are
    dictionary-encoded in Arrow and Parquet, and categoricals in pandas.
    """

    name: str
    type: ColumnType
    meaning: str
    nullable: bool = False
    categorical: bool = False
    allowed: tuple[str, ...] = ()
    pattern: str | None = None
    minimum: int | datetime | None = None
    maximum: int | datetime | None = None


@dataclass(frozen=True, eq=False)
class Table:
    """A table: its columns in order, and the columns that identify a row. Each is one object, equal to no other."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]

    def __getitem__(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(column.name for column in self.columns)


STATUS_WORDS = ("delivered", "not_delivered", "waiting", "ko")
DELIVERED, WAITING = "delivered", "waiting"
VERDICT_MEANINGS = {
    "complete": "every page returned the number asked for, all declared the same total, that many rows were received, "
    "and nothing stands behind the end; loaded",
    "unknown": "the API knows nothing under the tag; nothing to load",
    "skipped": "what is loaded is unchanged or fresh; not read",
    "incomplete": "pages repeat, overlap or are missing, or there are fewer or more rows than declared; not loaded",
    "unstable": "the declared total changed in every pass; not loaded",
    "shrunk": "fewer rows, or far fewer valid rows, than are loaded; what is loaded stays",
    "failed": "a request failed for good, the tag failed validation, or its destinations failed; not loaded",
}
VERDICTS = tuple(VERDICT_MEANINGS)
ACCEPTED = frozenset({"complete", "unknown", "skipped"})
"""Verdicts that a run may end with in success."""


class ExitCode(IntEnum):
    """How a command ended; schedulers rely on it."""

    OK = 0
    NOT_DONE = 1
    WRONG_SETTINGS = 2
    TAGS_NOT_COMPLETE = 3
    ROWS_IN_QUARANTINE = 4
    REFUSED = 5
    INTERRUPTED = 130


EXIT_MEANINGS = {
    ExitCode.OK: "every tag asked for is complete, unknown or skipped, nothing of them in quarantine",
    ExitCode.NOT_DONE: "the run could not be done (destination failed, disk full, bug)",
    ExitCode.WRONG_SETTINGS: "usage or settings are wrong; nothing was requested",
    ExitCode.TAGS_NOT_COMPLETE: "some tags are incomplete, unstable, shrunk or failed; the others are loaded",
    ExitCode.ROWS_IN_QUARANTINE: "no tag failed, but rows are in quarantine (over --allow-quarantined N, default 0)",
    ExitCode.REFUSED: "the API refused the key or the account; tags that were read completely before that are loaded",
    ExitCode.INTERRUPTED: "interrupted; what was loaded stays loaded",
}
TRY_AGAIN = frozenset({ExitCode.NOT_DONE, ExitCode.TAGS_NOT_COMPLETE, ExitCode.INTERRUPTED})
"""After these the same run, tried again, may end better."""

TAG_PATTERN = r"\S{1,20}"
"""The vendor's page "Envoi par lots": at most 20 characters, no spaces."""

PHONE_PATTERNS: dict[PhoneForm, str] = {
    "plain": r"\+[1-9][0-9]{6,14}",
    "masked": r"\+[1-9][0-9]{0,2}\*+[0-9]{2}",
    "hashed": r"[0-9a-f]{8}:[0-9a-f]{64}",
}
"""E.164; its calling code and last two digits; the id of a key and the number's HMAC-SHA256 under it."""

EARLIEST_DATE, LATEST_DATE = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""Dates outside are misread units (milliseconds, say), not deliveries."""

_TAG = Column("tag", "string", "the tag, as asked for", categorical=True, pattern=TAG_PATTERN)
_RUN_ID = Column("run_id", "string", "the run that loaded it", categorical=True, pattern=r"[0-9A-Za-z-]+")
_EXTRACTED_AT = Column(
    "extracted_at",
    "timestamp",
    "when the population was read; one value per tag and run",
    minimum=EARLIEST_DATE,
    maximum=LATEST_DATE,
)

STATUSES = Table(
    name="statuses",
    meaning="One row per row of the API.",
    columns=(
        _TAG,
        Column(
            "phone_number",
            "string",
            "E.164 (`+33612345678`); or masked or hashed, if asked for",
            pattern=PHONE_PATTERNS["plain"],
        ),
        Column("occurrence", "int32", "n-th row of this number under this tag, from 1, in API order", minimum=1),
        Column(
            "country",
            "string",
            "ISO 3166-1 alpha-2 of the number, as `phonenumbers` gives it",
            nullable=True,
            categorical=True,
            pattern=r"[A-Z]{2}",
        ),
        Column("status", "string", "what became of the message", categorical=True, allowed=STATUS_WORDS),
        Column("stop_sms", "bool", "the recipient opted out"),
        Column(
            "status_at",
            "timestamp",
            "the API's `date`; null where it gives none",
            nullable=True,
            minimum=EARLIEST_DATE,
            maximum=LATEST_DATE,
        ),
        _EXTRACTED_AT,
        _RUN_ID,
    ),
    primary_key=("tag", "phone_number", "occurrence"),
)

_COUNTS_OF_ROWS = (
    Column("rows_received", "int64", "rows the API sent", minimum=0),
    Column("rows_loaded", "int64", "rows in `statuses`", minimum=0),
    Column("rows_quarantined", "int64", "rows in `quarantine`", minimum=0),
    Column("rows_erased", "int64", "rows left out, since the person was erased", minimum=0),
    *(Column(word, "int64", f"rows loaded as {word.replace('_', ' ')}", minimum=0) for word in STATUS_WORDS),
    Column("stop_sms", "int64", "rows loaded of recipients who opted out", minimum=0),
)

ROW_COUNTS = tuple(column.name for column in _COUNTS_OF_ROWS)
"""Counts that a reading of a tag comes to; loaded + quarantined + erased = received."""

TAG_RUNS = Table(
    name="tag_runs",
    meaning="One row per tag and run: the history of a campaign's progress, and the audit. A skipped tag's row repeats "
    "the counts of the reading that is loaded; pages, requests, retries, asked_at and seconds are this run's.",
    columns=(
        _RUN_ID,
        _TAG,
        Column("verdict", "string", "the result of the tag in the run", categorical=True, allowed=VERDICTS),
        Column("reason", "string", "the verdict in words"),
        Column("rows_declared", "int64", "the API's `total`", nullable=True, minimum=0),
        *_COUNTS_OF_ROWS,
        Column("pages", "int64", "pages of the last pass", minimum=0),
        Column("requests", "int64", "requests sent for the tag, retries included", minimum=0),
        Column("retries", "int64", "requests sent again after a failure", minimum=0),
        Column("extracted_at", "timestamp", "when page 1 of the pass that counts was asked for", nullable=True),
        Column("asked_at", "timestamp", "when this run first asked for the tag; null if it did not", nullable=True),
        Column("seconds", "float64", "from the tag's first request to its last answer", minimum=0),
    ),
    primary_key=("run_id", "tag"),
)

QUARANTINE = Table(
    name="quarantine",
    meaning="Rows that are not valid, kept raw.",
    columns=(
        _TAG,
        Column("page", "int32", "the page that held the row, from 1", minimum=1),
        Column("position", "int32", "the row's number on its page, from 1", minimum=1),
        Column("reasons", "strings", "every rule the row breaks"),
        Column("raw", "string", "the row's JSON as the API sent it (phone number masked or hashed, if asked for)"),
        _EXTRACTED_AT,
        _RUN_ID,
    ),
    primary_key=("tag", "page", "position"),
)

LOADED_TAGS = Table(
    name="loaded_tags",
    meaning="One row per tag that is loaded: what a later run decides by, without reading its rows.",
    columns=(
        _TAG,
        *_COUNTS_OF_ROWS,
        Column("newest_status_at", "timestamp", "the latest `status_at`; null where no row has one", nullable=True),
        _EXTRACTED_AT,
        _RUN_ID,
        Column("phone_numbers", "string", "the form of the phone numbers; `hashed:` names the key, too"),
        Column("first_page", "string", "SHA-256 of the rows of page 1 as loaded; empty where it is not known"),
    ),
    primary_key=("tag",),
)

ERASURES = Table(
    name="erasures",
    meaning="One row per erased person, whose rows are not loaded again; it names nobody.",
    columns=(
        Column("key_id", "string", "the phone key that the hash was made with", pattern=r"[0-9a-f]{8}"),
        Column("number_hash", "string", "HMAC-SHA256 of the number under that key", pattern=r"[0-9a-f]{64}"),
        Column("erased_at", "timestamp", "when the person was erased"),
        Column("removed_tags", "int64", "tags that held the person; null while that goes on", nullable=True),
        Column("removed_rows", "int64", "rows removed; null while that goes on", nullable=True),
        Column("removed_quarantined", "int64", "rows in quarantine removed; null while that goes on", nullable=True),
    ),
    primary_key=("key_id", "number_hash"),
)

RUNS = Table(
    name="runs",
    meaning="One row per run: its report.",
    columns=(_RUN_ID, Column("report", "string", "the run report (JSON)")),
    primary_key=("run_id",),
)

TABLES = (STATUSES, TAG_RUNS, QUARANTINE)
"""What users read."""

STATE_TABLES = (LOADED_TAGS, ERASURES, RUNS)
"""What a warehouse keeps besides; a Parquet dataset keeps the same facts in footers and JSON files."""
