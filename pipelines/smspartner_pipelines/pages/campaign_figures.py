"""The figures of the campaign report: counted from the rows, and checked against what was loaded of each tag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
from smspartner.errors import SettingsError
from smspartner_schemas.contract import DELIVERED, QUARANTINE, STATUS_WORDS, STATUSES, TAG_RUNS, WAITING

from smspartner_pipelines.load.destination import Damage, Destination, LoadedTag, loaded_tags
from smspartner_pipelines.pages.campaign_progress import COLUMNS, Progress, progress_of
from smspartner_pipelines.reading import rows_in
from smspartner_pipelines.selection import is_settled

_READINGS = 3
"""How often everything is counted while runs keep loading meanwhile."""

_QUARTER_HOUR = 15 * 60 * 1_000_000
"""In microseconds. Every time zone of today begins its hours and days with one."""

UNSURE = "unsure"
SETTLED = "settled"
OPEN = "open"
STANDINGS = (WAITING, OPEN, SETTLED, UNSURE)
"""How far a campaign is, in the order in which pages list it."""


@dataclass
class TagFigures:
    """One tag: its rows by status, what was loaded of it, and its deliveries by quarter of an hour since 1970 (UTC)."""

    state: LoadedTag
    statuses: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUS_WORDS, 0))
    opt_outs: int = 0
    quarantined: int = 0
    deliveries: list[tuple[int, int]] = field(default_factory=list)

    @property
    def messages(self) -> int:
        """All rows counted."""
        return sum(self.statuses.values())

    def adds_up(self) -> bool:
        """Whether what was counted is what was loaded."""
        state = self.state
        held = (self.messages, self.statuses.get(WAITING, 0), self.quarantined)
        return held == (state.rows_loaded, state.waiting, state.rows_quarantined)

    @property
    def standing(self) -> str:
        """Say `unsure` where counts do not add up, `waiting`, `settled`, or `open`: read too soon to be settled."""
        if not self.adds_up():
            return UNSURE
        if self.statuses[WAITING]:
            return WAITING
        return SETTLED if is_settled(self.state, datetime.now(UTC)) else OPEN


@dataclass
class CampaignFigures:
    """All that the report shows."""

    tags: dict[str, TagFigures]
    countries: dict[str | None, dict[str, int]] = field(default_factory=dict)
    reasons: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Rows, and tags, by reason of the quarantine."""
    progress: Progress = field(default_factory=Progress)
    damages: list[Damage] = field(default_factory=list)

    def total(self, status: str) -> int:
        """Give the rows of a status under all tags."""
        return sum(tag.statuses[status] for tag in self.tags.values())

    @property
    def messages(self) -> int:
        """All rows counted."""
        return sum(tag.messages for tag in self.tags.values())

    @property
    def unsure(self) -> list[str]:
        """The tags whose counts do not add up."""
        return [name for name, tag in self.tags.items() if not tag.adds_up()]

    @property
    def unreadable(self) -> list[str]:
        """The tags, or else the places, that can't be read."""
        return sorted({damage.tag or damage.place for damage in self.damages})


def campaign_figures(destination: Destination) -> CampaignFigures:
    """Count what a destination, opened to be read, holds; once more where a run has loaded something meanwhile.

    Raises:
        SettingsError: nothing is loaded there.
        DestinationError: it can't be read.
    """
    for _ in range(_READINGS):
        states, damages = loaded_tags(destination)
        if not states and not damages:
            raise SettingsError(
                f"no tag is loaded in {destination.uri}", remedy="run `smspartner run` first, or name another place"
            )
        figures = _counted(destination, states, damages)
        if not figures.unsure or loaded_tags(destination)[0] == states:
            break
    return figures


def _counted(destination: Destination, states: Mapping[str, LoadedTag], damages: list[Damage]) -> CampaignFigures:
    figures = CampaignFigures({tag: TagFigures(states[tag]) for tag in sorted(states)}, damages=damages)
    columns = ("tag", "country", "status", "stop_sms", "status_at")
    for rows in rows_in(destination, STATUSES, columns, damages):
        _take_outcomes(figures, rows)
        _take_deliveries(figures, rows)
    reasons: Counter[tuple[str, str]] = Counter()
    for rows in rows_in(destination, QUARANTINE, ("tag", "reasons"), damages):
        for row in rows.group_by("tag").aggregate([([], "count_all")]).to_pylist():
            if row["tag"] in figures.tags:
                figures.tags[row["tag"]].quarantined += row["count_all"]
        reasons.update(_reasons(rows))
    for (tag, reason), count in sorted(reasons.items()):
        if tag in figures.tags:
            all_rows, tags = figures.reasons.get(reason, (0, 0))
            figures.reasons[reason] = all_rows + count, tags + 1
    waiting = {name: tag.statuses[WAITING] for name, tag in figures.tags.items() if tag.statuses[WAITING]}
    if waiting:
        figures.progress = progress_of(rows_in(destination, TAG_RUNS, COLUMNS, damages), waiting)
    return figures


def _take_outcomes(figures: CampaignFigures, rows: pa.Table) -> None:
    counted = rows.group_by(["tag", "country", "status", "stop_sms"]).aggregate([([], "count_all")])
    for row in counted.to_pylist():
        tag, count = figures.tags.get(row["tag"]), row["count_all"]
        if tag is None:  # the counts of the tag that it was loaded for do not add up then
            continue
        tag.statuses[row["status"]] = tag.statuses.get(row["status"], 0) + count
        tag.opt_outs += count if row["stop_sms"] else 0
        of_country = figures.countries.setdefault(row["country"], dict.fromkeys(STATUS_WORDS, 0))
        of_country[row["status"]] = of_country.get(row["status"], 0) + count


def _take_deliveries(figures: CampaignFigures, rows: pa.Table) -> None:
    delivered = rows.filter(pc.and_(pc.equal(rows["status"], DELIVERED), rows["status_at"].is_valid()))
    quarters = pc.divide(delivered["status_at"].cast(pa.int64()), _QUARTER_HOUR)
    counted = pa.table({"tag": delivered["tag"], "quarter": quarters}).group_by(["tag", "quarter"])
    counted = counted.aggregate([([], "count_all")]).sort_by("quarter")
    columns = (counted[name].to_pylist() for name in ("tag", "quarter", "count_all"))
    for tag, quarter, count in zip(*columns, strict=True):
        if tag in figures.tags:
            figures.tags[tag].deliveries.append((quarter, count))


def _reasons(rows: pa.Table) -> dict[tuple[str, str], int]:
    """Count the rows of each tag by reason; a row counts once for each of its reasons."""
    lists = rows["reasons"].combine_chunks()
    tags = rows["tag"].take(pc.list_parent_indices(lists))
    each = pa.table({"tag": tags, "reason": pc.list_flatten(lists)}).group_by(["tag", "reason"])
    counted = each.aggregate([([], "count_all")]).to_pylist()
    return {(row["tag"], row["reason"]): row["count_all"] for row in counted}
