"""The command `smspartner quarantine`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from smspartner_schemas.contract import ExitCode

from smspartner_pipelines import options

if TYPE_CHECKING:
    from smspartner_pipelines.load.destination import Damage, Destination

_NAMES = ("tag", "reason", "rows", "first at", "meaning")


@click.command(cls=options.GroupedCommand)
@click.argument("destination", metavar="DEST")
@options.json_option
@options.output_options
def quarantine(destination: str, *, as_json: bool) -> ExitCode:
    """Count rows in quarantine by tag and reason.

    No row and no number is shown. A tag with rows in quarantine is read again by every run.

    \b
    smspartner quarantine data/
    """  # noqa: D301  # \b is click's mark
    from smspartner.redaction import REDACT

    from smspartner_pipelines.output import text_table
    from smspartner_pipelines.reading import open_loaded

    with open_loaded(destination) as opened:
        counts, damages = _counts(opened)
    if as_json:
        click.echo(REDACT.json(counts, ensure_ascii=False, indent=2))
    elif counts:
        rows = [(one["tag"], one["reason"], f"{one['rows']:,}", _first(one), one["meaning"]) for one in counts]
        click.echo("\n".join(text_table(_NAMES, rows, ("rows",))))
    else:
        click.echo("nothing is in quarantine")
    for damage in damages:
        click.echo(f"damaged: {damage.place}: {damage.what}", err=True)
    return ExitCode.OK


def _counts(opened: Destination) -> tuple[list[dict[str, Any]], list[Damage]]:
    """Count each reason of each tag, with the first row it stands at; a row may have several reasons."""
    from smspartner_schemas.contract import QUARANTINE

    from smspartner_pipelines.load.destination import Damage

    counts: dict[tuple[str, str], dict[str, Any]] = {}
    damages = []
    for part in opened.scan(QUARANTINE, ("tag", "page", "position", "reasons")):
        if isinstance(part, Damage):
            damages.append(part)
            continue
        for row in part.to_pylist():
            for reason in row["reasons"]:
                fresh = {"tag": row["tag"], "reason": reason, "meaning": _meaning(reason), "rows": 0}
                one = counts.setdefault((row["tag"], reason), fresh)
                one["rows"] += 1
                at = row["page"], row["position"]
                one["page"], one["position"] = min((one.get("page", at[0]), one.get("position", at[1])), at)
    return [counts[key] for key in sorted(counts)], damages


def _first(one: dict[str, Any]) -> str:
    return f"page {one['page']}, row {one['position']}"


def _meaning(reason: str) -> str:
    """Say in words what a reason means."""
    from smspartner.values import REASONS
    from smspartner_schemas.rules import row_rules

    if reason in REASONS:
        return REASONS[reason]
    of_contract = {rule.name for rule in row_rules()}
    return "breaks a rule of the contract" if reason in of_contract else "fails an expectation of your suite"
