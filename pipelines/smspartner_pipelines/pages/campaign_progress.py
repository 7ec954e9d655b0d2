"""How campaigns that still wait have come along, run by run: from `tag_runs`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from smspartner_schemas.contract import STATUS_WORDS

MOST_TAGS = 6
MOST_READINGS = 24
COLUMNS = ("tag", "verdict", *STATUS_WORDS, "extracted_at")
"""The columns of `tag_runs` that are needed."""


@dataclass(frozen=True)
class Reading:
    """What one run read of a tag: when, and its rows in the order of `STATUS_WORDS`."""

    at: datetime
    counts: tuple[int, ...]


@dataclass
class Progress:
    """The last readings of the tags where most messages wait; `left_out` is how many other tags wait, too."""

    readings: dict[str, list[Reading]] = field(default_factory=dict)
    left_out: int = 0


def progress_of(tag_runs: Iterable[pa.Table], waiting: Mapping[str, int]) -> Progress:
    """Give the progress of the tags that wait (rows by tag), oldest reading first."""
    chosen = sorted(waiting, key=lambda tag: (-waiting[tag], tag))[:MOST_TAGS]
    by_tag: dict[str, dict[datetime, Reading]] = {tag: {} for tag in chosen}
    for rows in tag_runs:
        of_chosen = pc.is_in(rows["tag"].cast(pa.string()), pa.array(chosen, pa.string()))
        loaded = pc.and_(pc.equal(rows["verdict"].cast(pa.string()), "complete"), rows["extracted_at"].is_valid())
        for row in rows.filter(pc.and_(of_chosen, loaded)).to_pylist():
            counts = tuple(row[word] for word in STATUS_WORDS)
            by_tag[row["tag"]][row["extracted_at"]] = Reading(row["extracted_at"], counts)
    readings = {tag: [found[at] for at in sorted(found)][-MOST_READINGS:] for tag, found in by_tag.items() if found}
    return Progress(readings, len(waiting) - len(readings))
