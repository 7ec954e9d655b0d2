"""The figures of the campaign report: what is loaded of each tag, when it was delivered, and what runs said of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import DELIVERED, QUARANTINE, STATUSES, TAG_RUNS, WAITING

from smspartner_pipelines.load.destination import Damage, Destination, LoadedTag, loaded_tags
from smspartner_pipelines.reading import rows_in

CURVE_SECONDS = np.geomspace(60, 48 * 3600, 41)
"""Seconds since a campaign's first delivery at which its curve is known."""

REUSED_SECONDS = 72 * 3600
"""Deliveries over more than this: a tag that is used again and again, whose messages have no common start."""

QUARTER = 900
"""Seconds. Every time zone of today begins its hours and days with a quarter of an hour."""

_READINGS = 3
"""How often everything is counted while runs keep loading meanwhile."""

_RUN_COLUMNS = (
    *("run_id", "tag", "verdict", "reason", "rows_declared", "rows_loaded"),
    *("delivered", "waiting", "extracted_at", "asked_at"),
)

Integers = npt.NDArray[np.int64]


@dataclass
class Campaign:
    """One tag that was ever asked for. Times are seconds since 1970, durations seconds; None where nothing is known.

    `share` is delivered of final, `opt_out_share` of delivered, both in per cent; `failed` are not delivered, or not
    even sent (KO). `rows` are those counted; they must be `state.rows_loaded`. `half` and `most` are the times from its
    first delivery to half and to 95 % of them, `curve` the deliveries by then at each of `CURVE_SECONDS`.
    `countries` gives messages with a final outcome, and those delivered. `runs` says which rows of `Figures.runs` are
    its own; `verdict`, `declared` and `last_try` are of the last one.
    """

    tag: str
    state: LoadedTag | None = None
    damaged: bool = False
    rows: int = 0
    first: int | None = None
    last: int | None = None
    half: int | None = None
    most: int | None = None
    curve: Integers | None = None
    countries: dict[str | None, tuple[int, int]] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    runs: tuple[int, int] = (0, 0)
    first_try: datetime | None = None
    last_try: datetime | None = None
    verdict: str = ""
    declared: int | None = None

    def __post_init__(self) -> None:
        one = self.state
        self.messages, self.delivered, self.waiting = (
            (one.rows_loaded, one.delivered, one.waiting) if one else (0, 0, 0)
        )
        self.opt_outs = one.stop_sms if one else 0
        self.final = self.messages - self.waiting
        self.failed = self.final - self.delivered
        self.share = 100 * self.delivered / self.final if self.final else None
        self.opt_out_share = 100 * self.opt_outs / self.delivered if self.delivered else None

    @property
    def unknown(self) -> bool:
        """Whether nothing is loaded, and the API knows no such tag."""
        return self.state is None and self.verdict == "unknown"

    @property
    def reused(self) -> bool:
        """Whether the tag was used again and again."""
        return self.first is not None and self.last is not None and self.last - self.first > REUSED_SECONDS

    @property
    def sent(self) -> int | None:
        """When it was sent, as near as is known: the API does not say.

        The first delivery; the last, for a tag used again and again; the first try, for one that was never loaded.
        """
        if self.first is not None:
            return self.last if self.reused else self.first
        return int(self.first_try.timestamp()) if self.first_try else None


@dataclass
class Figures:
    """All that the report shows; `usual` and `usual_opt_outs` are per cent, None where too few campaigns are final.

    `deliveries` are three columns of one length: the index of the campaign, the quarter of an hour since 1970, and the
    messages delivered in it. `runs` are the rows of `tag_runs` in which tags were read, by tag and time.
    """

    campaigns: list[Campaign]
    deliveries: tuple[Integers, Integers, Integers]
    runs: pa.Table
    damages: list[Damage]

    def __post_init__(self) -> None:
        final = [one for one in self.campaigns if one.final and not one.waiting]
        self.usual = _usual(one.share for one in final)
        self.usual_opt_outs = _usual(one.opt_out_share for one in final)
        self.loaded = [one for one in self.campaigns if one.state]

    def total(self, name: str) -> int:
        """Sum a count over all campaigns: one of `Campaign`, or of `LoadedTag`."""
        return sum(getattr(one if hasattr(one, name) else one.state, name) for one in self.loaded)


def _usual(shares: Iterable[float | None], at_least: int = 3) -> float | None:
    known = [share for share in shares if share is not None]
    return median(known) if len(known) >= at_least else None


def campaign_figures(destination: Destination) -> Figures:
    """Count what a destination, opened to be read, holds; once more where a run has loaded something meanwhile.

    Raises:
        DestinationError: it can't be read.
    """
    for _ in range(_READINGS):
        states, damages = loaded_tags(destination)
        campaigns = {tag: Campaign(tag, state) for tag, state in states.items()}
        runs = _add_runs(campaigns, rows_in(destination, TAG_RUNS, _RUN_COLUMNS, damages))
        deliveries = _add_rows(campaigns, rows_in(destination, STATUSES, _COLUMNS, damages))
        quarantined = _add_reasons(campaigns, rows_in(destination, QUARANTINE, ("tag", "reasons"), damages))
        for damage in damages:
            if damage.tag is not None:
                campaigns.setdefault(damage.tag, Campaign(damage.tag)).damaged = True
        for one in campaigns.values():
            held = (one.rows, quarantined[one.tag])
            one.damaged |= held != ((one.state.rows_loaded, one.state.rows_quarantined) if one.state else (0, 0))
        if not any(one.damaged for one in campaigns.values()) or loaded_tags(destination)[0] == states:
            break
    return Figures(list(campaigns.values()), deliveries, runs, damages)


def _add_runs(campaigns: dict[str, Campaign], parts: Iterable[pa.Table]) -> pa.Table:
    """Note in which runs each tag was read, and add the tags that were never loaded; gives those runs."""
    columns = pa.schema([(name, _plain(arrow_schema(TAG_RUNS).field(name).type)) for name in _RUN_COLUMNS])
    runs = pa.concat_tables([columns.empty_table(), *(part.cast(columns) for part in parts)])
    runs = runs.filter(pc.not_equal(runs["verdict"], "skipped"))
    runs = runs.sort_by([("tag", "ascending"), ("run_id", "ascending")]).combine_chunks()
    codes = _codes(runs["tag"])[0]
    ends = np.flatnonzero(np.diff(codes, append=-1)) + 1
    starts = np.array([0, *ends[:-1]], dtype=np.int64)[: len(ends)]
    newest = runs.select(("tag", "verdict", "rows_declared", "asked_at")).take(pa.array(ends - 1))
    first_tries = runs["asked_at"].take(pa.array(starts)).to_pylist()
    columns_of_newest = (column.to_pylist() for column in newest.columns)
    for begin, end, first, tag, verdict, declared, last in zip(
        starts.tolist(), ends.tolist(), first_tries, *columns_of_newest, strict=True
    ):
        one = campaigns.setdefault(tag, Campaign(tag))
        one.runs, one.first_try, one.last_try = (begin, end), first, last
        one.verdict, one.declared = verdict, declared
    return runs


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


_COLUMNS = ("tag", "country", "status", "status_at")


def _add_rows(campaigns: dict[str, Campaign], parts: Iterable[pa.Table]) -> tuple[Integers, Integers, Integers]:
    """Count the rows of each campaign by country, and note when deliveries came; gives these by quarter of an hour."""
    numbers = {tag: number for number, tag in enumerate(campaigns)}
    found = [(np.zeros(0, np.int64),) * 3]
    for part in parts:
        counted = part.group_by(["tag", "country", "status"]).aggregate([([], "count_all")])
        for tag, country, status, rows in zip(*(column.to_pylist() for column in counted.columns), strict=True):
            if tag in campaigns:
                one = campaigns[tag]
                one.rows += rows
                final, delivered = one.countries.get(country, (0, 0))
                one.countries[country] = final + rows * (status != WAITING), delivered + rows * (status == DELIVERED)
        dated = part.filter(pc.and_(pc.equal(part["status"], DELIVERED), part["status_at"].is_valid()))
        codes, tags = _codes(dated["tag"])
        owner = np.array([numbers.get(tag, -1) for tag in tags], dtype=np.int64)[codes]
        seconds = dated["status_at"].cast(pa.int64()).to_numpy() // 1_000_000
        found.append(_add_times(list(campaigns.values()), owner[owner >= 0], seconds[owner >= 0]))
    owners, quarters, counts = (np.concatenate(column) for column in zip(*found, strict=True))
    return owners, quarters, counts


def _codes(column: pa.ChunkedArray) -> tuple[Integers, list[str]]:
    """Give a column without nulls as codes, and the values that they stand for."""
    array = column.unify_dictionaries().combine_chunks()
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    return array.indices.cast(pa.int64()).to_numpy(), array.dictionary.to_pylist()


def _add_times(campaigns: list[Campaign], owner: Integers, seconds: Integers) -> tuple[Integers, Integers, Integers]:
    order = np.lexsort((seconds, owner))
    owner, seconds = owner[order], seconds[order]
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    sizes = np.diff(starts, append=len(owner))
    after = seconds - np.repeat(seconds[starts], sizes)
    steps = np.searchsorted(CURVE_SECONDS, after)
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        one, end = campaigns[owner[start]], start + size
        one.first, one.last = int(seconds[start]), int(seconds[end - 1])
        one.half, one.most = (int(after[start + int(np.ceil(part * size)) - 1]) for part in (0.5, 0.95))
        one.curve = np.cumsum(np.bincount(steps[start:end], minlength=len(CURVE_SECONDS))[: len(CURVE_SECONDS)])
    quarters = seconds // QUARTER
    slots = np.flatnonzero((np.diff(owner, prepend=-1) != 0) | (np.diff(quarters, prepend=-1) != 0))
    return owner[slots], quarters[slots], np.diff(slots, append=len(owner))


def _add_reasons(campaigns: dict[str, Campaign], parts: Iterable[pa.Table]) -> Counter[str]:
    """Count why rows are in quarantine, by tag; gives the rows of each."""
    rows: Counter[str] = Counter()
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for part in parts:
        for tag, why in zip(part["tag"].to_pylist(), part["reasons"].to_pylist(), strict=True):
            rows[tag] += 1
            reasons[tag].update(why)
    for tag, counted in reasons.items():
        if tag in campaigns:
            campaigns[tag].reasons = counted
    return rows
