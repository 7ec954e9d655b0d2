"""The command `smspartner quarantine`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click
from smspartner_schemas.contract import ExitCode

from smspartner_pipelines import options
from smspartner_pipelines.output import say, text_table

if TYPE_CHECKING:
    from smspartner_pipelines.load.destination import Damage, Destination


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

    from smspartner_pipelines.reading import open_loaded

    damages: list[Damage] = []
    with open_loaded(destination) as opened:
        counts = _counts(opened, damages)
    if as_json:
        click.echo(REDACT.json(counts, ensure_ascii=False, indent=2))
    elif counts:
        rows = [
            (
                one["tag"],
                one["reason"],
                f"{one['rows']:,}",
                f"page {one['page']}, row {one['position']}",
                one["meaning"],
            )
            for one in counts
        ]
        for line in text_table(("tag", "reason", "rows", "first at", "meaning"), rows, ("rows",)):
            say(line, to_stdout=True)
    else:
        click.echo("nothing is in quarantine")
    for damage in damages:
        say(f"damaged: {damage.place}: {damage.what}", style="red")
    return ExitCode.OK


def _counts(opened: Destination, damages: list[Damage]) -> list[dict[str, Any]]:
    """Count each reason of each tag, with the first row it stands at; a row may have several reasons."""
    from smspartner_schemas.contract import QUARANTINE

    from smspartner_pipelines.reading import rows_in

    counts: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], tuple[int, int]] = {}
    for rows in rows_in(opened, QUARANTINE, ("tag", "page", "position", "reasons"), damages):
        for row in rows.to_pylist():
            at = row["page"], row["position"]
            for key in ((row["tag"], reason) for reason in row["reasons"]):
                counts[key] += 1
                first[key] = min(first.get(key, at), at)
    return [
        {"tag": tag, "reason": reason, "meaning": _meaning(reason), "rows": counts[tag, reason]}
        | dict(zip(("page", "position"), at, strict=True))
        for (tag, reason), at in sorted(first.items())
    ]


def _meaning(reason: str) -> str:
    """Say in words what a reason means."""
    from smspartner.values import REASONS
    from smspartner_schemas.rules import suite

    if reason in REASONS:
        return REASONS[reason]
    of_contract = {one["meta"]["rule"] for one in suite()["expectations"]}
    return "breaks a rule of the contract" if reason in of_contract else "fails an expectation of your suite"
