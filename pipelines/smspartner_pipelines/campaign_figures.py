"""The figures of the campaign report: counted where the rows are held, and checked against what is said of each tag."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from smspartner.errors import SettingsError
from smspartner_pipelines.load.counting import QUARTER_HOUR, ROWS
from smspartner_pipelines.load.destination import LoadedTag, TagStore
from smspartner_schemas.contract import DELIVERED, QUARANTINE, STATUS_WORDS, STATUSES, WAITING

from smspartner_pipelines.campaign_progress import Progress, progress_of
from smspartner_pipelines.incremental import is_settled

_READINGS = 3
"""How often everything is counted while runs keep loading meanwhile."""

_OUTCOMES = ("tag", "country", "status", "stop_sms")
_MOMENTS = ("tag", "status", QUARTER_HOUR)

UNSURE = "unsure"
SETTLED = "settled"
OPEN = "open"
STANDINGS = (WAITING, OPEN, SETTLED, UNSURE)
"""How far a campaign is, in the order in which pages list it."""


@dataclass
class TagFigures:
    """One tag: its rows by status, what the destination says of it, and its deliveries by quarter of an hour (UTC)."""

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
        """Whether what was counted is what the destination says that it holds."""
        held = (self.messages, self.statuses.get(WAITING, 0), self.quarantined)
        return self.state.consistent and held == (
            self.state.rows_loaded,
            self.state.waiting,
            self.state.rows_quarantined,
        )

    @property
    def standing(self) -> str:
        """Say `unsure` where the books do not balance, `waiting`, `settled`, or `open`: read too soon to be settled."""
        if not self.adds_up():
            return UNSURE
        if self.statuses[WAITING]:
            return WAITING
        return SETTLED if is_settled(self.state) else OPEN


@dataclass
class CampaignFigures:
    """All that the report shows. `strays` is how many rows stand under tags that no run has loaded."""

    tags: dict[str, TagFigures]
    countries: dict[str | None, dict[str, int]] = field(default_factory=dict)
    reasons: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Rows, and tags, that each reason doubts."""
    progress: Progress = field(default_factory=Progress)
    strays: int = 0

    def total(self, status: str) -> int:
        """Give the rows of a status under all tags."""
        return sum(tag.statuses[status] for tag in self.tags.values())

    @property
    def messages(self) -> int:
        """All rows counted."""
        return sum(tag.messages for tag in self.tags.values())

    @property
    def unsure(self) -> list[str]:
        """The tags whose books do not balance."""
        return [name for name, tag in self.tags.items() if not tag.adds_up()]


def campaign_figures(store: TagStore) -> CampaignFigures:
    """Count what a destination holds; once more where a run has loaded something meanwhile.

    Raises:
        SettingsError: nothing is loaded there.
        DestinationError: it can't be read.
    """
    for _ in range(_READINGS):
        states = store.loaded_tags()
        if not states:
            raise SettingsError(f"no tag is loaded in {store.uri}: run `smspartner run` first, or name another place")
        figures = _counted(store, states)
        if not (figures.unsure or figures.strays) or store.loaded_tags() == states:
            break
    return figures


def _counted(store: TagStore, states: Mapping[str, LoadedTag]) -> CampaignFigures:
    figures = CampaignFigures({tag: TagFigures(states[tag]) for tag in sorted(states)})
    outcomes, moments = store.count_rows(STATUSES, (_OUTCOMES, _MOMENTS))
    doubted, reasons = store.count_rows(QUARANTINE, (("tag",), ("tag", "reasons")))
    _take_outcomes(figures, outcomes)
    for tag, quarter, rows in _values(_delivered(moments), "tag", QUARTER_HOUR):
        if tag in figures.tags and quarter is not None:
            figures.tags[tag].deliveries.append((quarter, rows))
    for tag, rows in _values(doubted, "tag"):
        if tag in figures.tags:
            figures.tags[tag].quarantined = rows
    for tag, reason, rows in _values(reasons, "tag", "reasons"):
        if tag in figures.tags:
            all_rows, tags = figures.reasons.get(reason, (0, 0))
            figures.reasons[reason] = all_rows + rows, tags + 1
    waiting = {name: tag.statuses[WAITING] for name, tag in figures.tags.items() if tag.statuses[WAITING]}
    figures.progress = progress_of(store.tag_runs(), waiting) if waiting else Progress()
    return figures


def _take_outcomes(figures: CampaignFigures, outcomes: pa.Table) -> None:
    known = pc.is_in(outcomes["tag"].cast(pa.string()), pa.array(figures.tags, pa.string()))
    figures.strays = pc.sum(outcomes.filter(pc.invert(known))[ROWS]).as_py() or 0
    outcomes = outcomes.filter(known)
    for tag, status, rows in _values(outcomes, "tag", "status"):
        figures.tags[tag].statuses[status] = rows
    for tag, rows in _values(outcomes.filter(outcomes["stop_sms"]), "tag"):
        figures.tags[tag].opt_outs = rows
    for country, status, rows in _values(outcomes, "country", "status"):
        figures.countries.setdefault(country, dict.fromkeys(STATUS_WORDS, 0))[status] = rows


def _delivered(moments: pa.Table) -> pa.Table:
    return moments.filter(pc.equal(moments["status"], DELIVERED))


def _values(counts: pa.Table, *names: str) -> Iterator[tuple[Any, ...]]:
    """Give counts summed up by some of their columns, in order of these, as tuples that end with the rows."""
    summed = counts.group_by(list(names)).aggregate([(ROWS, "sum")]).sort_by([(name, "ascending") for name in names])
    columns = [summed[name].to_pylist() for name in (*names, f"{ROWS}_sum")]
    return zip(*columns, strict=True)
