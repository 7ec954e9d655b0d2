"""The tables of one extraction, taken apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from smspartner_schemas.contract import TABLES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class Tables(NamedTuple):
    """Statuses, the verdicts on their tags, and what could not be believed, of one extraction."""

    statuses: DataFrame
    tag_runs: DataFrame
    quarantine: DataFrame


def split(everything: DataFrame) -> Tables:
    """Take the table `everything` apart.

    Write it first, and give what was written: each of the three is read by itself, and straight from the source each of
    them would be an extraction of its own.
    """
    return Tables(*(everything.where(f"{table.name} is not null").select(f"{table.name}.*") for table in TABLES))
