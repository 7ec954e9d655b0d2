"""The command `smspartner tags`, and the state of each tag that a destination knows."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from shutil import get_terminal_size
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
        click.echo(REDACT.json(states, ensure_ascii=False, indent=2, default=lambda time: time.isoformat()))
    else:
        show_tags(states, opened.uri)
    for damage in damages:
        say(f"damaged: {damage.place}: {damage.what}", style="red")
    return ExitCode.OK


def tag_states(destination: Destination) -> tuple[list[dict[str, Any]], list[Damage]]:
    """Give the facts of every tag that was ever asked for, sorted, and the damage that belongs to no tag.

    Facts are what is loaded (None where nothing is), the state in a word or two, verdict and reason of the newest run,
    and what is damaged.

    Raises:
        DestinationError: it can't be read at all.
    """
    loaded, damages = loaded_tags(destination)
    newest = _newest_tag_runs(destination, damages)
    damaged = {one.tag: one.what for one in damages if one.tag is not None}
    states = []
    for tag in sorted({*loaded, *newest, *damaged}):
        verdict, reason = newest.get(tag, (None, ""))
        held = asdict(loaded[tag]) if tag in loaded else dict.fromkeys(LoadedTag.__dataclass_fields__)
        state = "damaged" if tag in damaged else _state(loaded.get(tag), verdict)
        said = {"state": state, "verdict": verdict, "reason": reason, "damage": damaged.get(tag)}
        states.append({**held, "tag": tag, **said})
    return states, [one for one in damages if one.tag is None]


def _state(loaded: LoadedTag | None, verdict: str | None) -> str:
    from smspartner_pipelines.selection import is_settled

    if verdict is not None and verdict not in ACCEPTED:
        return verdict
    if loaded is None:
        return "unknown" if verdict == "unknown" else "not loaded"
    if loaded.rows_quarantined:
        return "quarantine"
    return "settled" if is_settled(loaded, datetime.now(UTC)) else "open"


def _newest_tag_runs(destination: Destination, damages: list[Damage]) -> dict[str, tuple[str, str]]:
    """Give verdict and reason of the newest run of each tag; run ids sort by time."""
    import pyarrow as pa

    from smspartner_pipelines.reading import rows_in

    plain = pa.schema([(name, pa.string()) for name in ("run_id", "tag", "verdict", "reason")])
    pieces = [piece.cast(plain) for piece in rows_in(destination, TAG_RUNS, plain.names, damages)]
    runs = pa.concat_tables([plain.empty_table(), *pieces]).sort_by("run_id")
    newest = runs.group_by("tag", use_threads=False).aggregate([("verdict", "last"), ("reason", "last")])
    return {row["tag"]: (row["verdict_last"], row["reason_last"]) for row in newest.to_pylist()}


def show_tags(states: list[dict[str, Any]], uri: str) -> None:
    """Print a line a tag, coloured by its state, then why some are not in order, then the total.

    Where a terminal is too narrow for whole lines, they do not say when a tag was read.
    """
    from rich.cells import cell_len

    cells = list(map(_cells, states))
    names, *lines = text_table(_NAMES, cells, _NAMES[1:4])
    if sys.stdout.isatty() and max(map(cell_len, [names, *lines])) > get_terminal_size().columns:
        names, *lines = text_table(_NAMES[:-1], [row[:-1] for row in cells], _NAMES[1:4])  # --json has it
    say(names, to_stdout=True)
    for line, one in zip(lines, states, strict=True):
        say(line, to_stdout=True, style=_COLOURS.get(one["state"], "red"))
    for one in states:
        if one["state"] not in _COLOURS:
            why = one["damage"] or f"{one['verdict']}: {one['reason']}"
            say(f"{one['tag']}: {why}", to_stdout=True, style="red")
    loaded = [one for one in states if one["run_id"]]
    rows, waiting, quarantined = (
        sum(one[name] for one in loaded) for name in ("rows_loaded", "waiting", "rows_quarantined")
    )
    help_ = f" (`smspartner quarantine {shlex.quote(uri)}` counts them by reason)" if quarantined else ""
    say(
        f"{counted(len(states), 'tag')}, {len(loaded):,} loaded: {counted(rows, 'row')}, {waiting:,} waiting, "
        f"{quarantined:,} in quarantine{help_}",
        to_stdout=True,
    )


def _cells(one: dict[str, Any]) -> tuple[str, ...]:
    if not one["run_id"]:
        return one["tag"], "", "", "", one["state"], ""
    share = delivered_share(one["delivered"], one["not_delivered"], one["ko"])
    read = f"{one['extracted_at'].astimezone(UTC):%Y-%m-%d %H:%M}"
    return one["tag"], f"{one['rows_loaded']:,}", share, f"{one['waiting']:,}", one["state"], read
