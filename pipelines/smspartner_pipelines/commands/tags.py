"""The command `smspartner tags`, and the state of each tag that a destination knows."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from smspartner_schemas.contract import ACCEPTED, TAG_RUNS, ExitCode

from smspartner_pipelines.load.destination import LoadedTag, loaded_tags
from smspartner_pipelines.output import counted, delivered_share, say, text_table

if TYPE_CHECKING:
    from smspartner_pipelines.load.destination import Damage, Destination

_NAMES = ("tag", "rows", "delivered", "waiting", "state", "last read (UTC)")
_COLOURS = {"settled": "green", "open": "cyan", "quarantine": "yellow", "unknown": "yellow", "not loaded": "yellow"}
"""By states; all others are red."""


@click.command()
@click.argument("destination", metavar="DEST")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
def tags(destination: str, *, as_json: bool) -> ExitCode:
    """Show each tag: rows, share delivered, state.

    A line for every tag that was ever asked for, loaded or not. The share is of the messages whose status is final.

    States: settled (nothing waits any more), open (more is to come), quarantine (rows are not valid), damaged (can't be
    read, and is read again by the next run), or the verdict of the last run where that was not in order.

    \b
    smspartner tags data/
    """  # noqa: D301  # \b is click's mark
    from smspartner.redaction import REDACT

    from smspartner_pipelines.reading import open_loaded

    with open_loaded(destination) as opened:
        states, damages = tag_states(opened)
    if as_json:
        facts = [one.facts() for one in states]
        click.echo(REDACT.json(facts, ensure_ascii=False, indent=2, default=lambda time: time.isoformat()))
    else:
        show_tags(states, opened.uri)
    for damage in damages:
        say(f"damaged: {damage.place}: {damage.what}", style="red")
    return ExitCode.OK


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
        from smspartner_pipelines.selection import is_settled

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
        read = f"{one.extracted_at.astimezone(UTC):%Y-%m-%d %H:%M}"
        return self.tag, f"{one.rows_loaded:,}", share, f"{one.waiting:,}", self.state, read

    def facts(self) -> dict[str, Any]:
        """Give the facts for programs; counts and times are null where nothing is loaded."""
        held = asdict(self.loaded) if self.loaded else dict.fromkeys(LoadedTag.__dataclass_fields__)
        said = {"state": self.state, "verdict": self.verdict or None, "reason": self.reason, "damage": self.damage}
        return {**held, "tag": self.tag, **said}


def tag_states(destination: Destination) -> tuple[list[TagState], list[Damage]]:
    """Give every tag that was ever asked for, sorted, and the damage that belongs to no tag.

    Raises:
        DestinationError: it can't be read at all.
    """
    loaded, damages = loaded_tags(destination)
    newest = _newest_tag_runs(destination, damages)
    by_tag = {one.tag: one.what for one in damages if one.tag is not None}
    states = [
        TagState(tag, loaded.get(tag), *newest.get(tag, ("", "")), by_tag.get(tag))
        for tag in sorted({*loaded, *newest, *by_tag})
    ]
    return states, [one for one in damages if one.tag is None]


def _newest_tag_runs(destination: Destination, damages: list[Damage]) -> dict[str, tuple[str, str]]:
    """Give verdict and reason of the newest run of each tag; run ids sort by time."""
    import pyarrow as pa

    from smspartner_pipelines.reading import rows_in

    plain = pa.schema([(name, pa.string()) for name in ("run_id", "tag", "verdict", "reason")])
    pieces = [piece.cast(plain) for piece in rows_in(destination, TAG_RUNS, plain.names, damages)]
    runs = pa.concat_tables([plain.empty_table(), *pieces]).sort_by("run_id")
    newest = runs.group_by("tag", use_threads=False).aggregate([("verdict", "last"), ("reason", "last")])
    return {row["tag"]: (row["verdict_last"], row["reason_last"]) for row in newest.to_pylist()}


def show_tags(states: list[TagState], uri: str) -> None:
    """Print a line a tag, coloured by its state, then why some are not in order, then the total."""
    names, *lines = text_table(_NAMES, [one.row() for one in states], _NAMES[1:4])
    say(names, to_stdout=True)
    for line, one in zip(lines, states, strict=True):
        say(line, to_stdout=True, style=_COLOURS.get(one.state, "red"))
    for one in states:
        if one.state not in _COLOURS:
            say(f"{one.tag}: {one.damage or f'{one.verdict}: {one.reason}'}", to_stdout=True, style="red")
    loaded = [one.loaded for one in states if one.loaded]
    rows, waiting, quarantined = (
        sum(getattr(one, name) for one in loaded) for name in ("rows_loaded", "waiting", "rows_quarantined")
    )
    help_ = f" (`smspartner quarantine {shlex.quote(uri)}` counts them by reason)" if quarantined else ""
    say(
        f"{counted(len(states), 'tag')}, {len(loaded):,} loaded: {counted(rows, 'row')}, {waiting:,} waiting, "
        f"{quarantined:,} in quarantine{help_}",
        to_stdout=True,
    )
