"""What a destination holds of each tag, and what the last run said of it: for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from smspartner.errors import SettingsError
from smspartner_schemas.contract import ACCEPTED, TAG_RUNS

from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.destination import Damage, LoadedTag, loaded_tags
from smspartner_pipelines.selection import is_settled
from smspartner_pipelines.summary import delivered_share
from smspartner_pipelines.text_table import counted, text_table

if TYPE_CHECKING:
    import pyarrow as pa

    from smspartner_pipelines.load.destination import Destination

_NAMES = ("tag", "rows", "delivered", "waiting", "state", "last read (UTC)")


@contextmanager
def reading(uri: str) -> Iterator[Destination]:
    """Open a destination to read what is loaded there.

    Raises:
        SettingsError: it is an export, which keeps no tags, or nothing was ever loaded there (NothingLoaded).
        DestinationError: it can't be reached.
    """
    destination = open_destination(uri)
    if not destination.keeps_tags:
        raise SettingsError(
            f"{destination.uri} is an export, which keeps no tags", remedy="name a dataset or a database"
        )
    with destination.open(for_loading=False):
        yield destination


@dataclass(frozen=True)
class TagState:
    """A tag that a destination knows: what is loaded, if anything; the newest verdict and its reason; any damage."""

    tag: str
    loaded: LoadedTag | None
    verdict: str
    reason: str
    damage: str | None = None

    @property
    def state(self) -> str:
        """Say in a word or two how the tag is."""
        if self.damage:
            return "damaged"
        if self.verdict not in {*ACCEPTED, ""}:
            return self.verdict
        if self.loaded is None:
            return "unknown" if self.verdict == "unknown" else "not loaded"
        if self.loaded.rows_quarantined:
            return "quarantine"
        return "settled" if is_settled(self.loaded, datetime.now(UTC)) else "open"

    def row(self) -> tuple[str, ...]:
        """Give the cells of the table for people."""
        one = self.loaded
        if one is None:
            return self.tag, "", "", "", self.state, ""
        share = delivered_share(one.delivered, one.not_delivered, one.ko)
        return (
            *(self.tag, f"{one.rows_loaded:,}", share, f"{one.waiting:,}", self.state),
            f"{one.extracted_at.astimezone(UTC):%Y-%m-%d %H:%M}",
        )

    def facts(self) -> dict[str, Any]:
        """Give the facts for programs; counts and times are null where nothing is loaded."""
        names = LoadedTag.__dataclass_fields__
        held = asdict(self.loaded) if self.loaded else dict.fromkeys(names)
        said = {"state": self.state, "verdict": self.verdict or None, "reason": self.reason, "damage": self.damage}
        return {**held, "tag": self.tag, **said}


def tag_states(destination: Destination) -> tuple[list[TagState], list[Damage]]:
    """Give every tag that was ever asked for, sorted, and the damage that belongs to no tag.

    Raises:
        DestinationError: it can't be read at all.
    """
    loaded, damages = loaded_tags(destination)
    newest, more = _newest_tag_runs(destination)
    by_tag = {one.tag: one.what for one in damages if one.tag is not None}
    states = [
        TagState(tag, loaded.get(tag), *newest.get(tag, ("", "")), by_tag.get(tag))
        for tag in sorted({*loaded, *newest, *by_tag})
    ]
    return states, [one for one in (*damages, *more) if one.tag is None]


def _newest_tag_runs(destination: Destination) -> tuple[dict[str, tuple[str, str]], list[Damage]]:
    """Give verdict and reason of the newest run of each tag; run ids sort by time."""
    import pyarrow as pa

    parts, damages = [], []
    for part in destination.scan(TAG_RUNS, ("run_id", "tag", "verdict", "reason")):
        if isinstance(part, Damage):
            damages.append(part)
        else:
            parts.append(_plain(part))
    if not parts:
        return {}, damages
    table = pa.concat_tables(parts)
    newest = table.group_by("tag").aggregate([("run_id", "max")]).rename_columns(["tag", "run_id"])
    rows = table.join(newest, ["tag", "run_id"], join_type="inner").to_pylist()
    return {row["tag"]: (row["verdict"], row["reason"]) for row in rows}, damages


def _plain(part: pa.Table) -> pa.Table:
    """Give columns of plain text: dictionaries of several files are no common key."""
    import pyarrow as pa

    return part.cast(pa.schema([(name, pa.string()) for name in part.column_names]))


def lines_for_people(states: list[TagState], damages: list[Damage], uri: str) -> Iterator[str]:
    """Give a line a tag, then what is not as it should be, then the total."""
    yield from text_table(_NAMES, [one.row() for one in states], _NAMES[1:4])
    for one in states:
        if one.damage or one.loaded is None:
            yield f"{one.tag}: {one.damage or ': '.join(filter(None, (one.state, one.reason)))}"
    yield from (f"damaged: {damage.place}: {damage.what}" for damage in damages)
    loaded = [one.loaded for one in states if one.loaded]
    rows, waiting = sum(one.rows_loaded for one in loaded), sum(one.waiting for one in loaded)
    quarantined = sum(one.rows_quarantined for one in loaded)
    help_ = f" (`smspartner quarantine {uri}` counts them by reason)" if quarantined else ""
    yield (
        f"{counted(len(states), 'tag')}, {len(loaded):,} loaded: {counted(rows, 'row')}, {waiting:,} waiting, "
        f"{quarantined:,} in quarantine{help_}"
    )
