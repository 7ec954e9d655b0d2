"""The command `smspartner report`."""

from __future__ import annotations

from typing import Any

import click
from smspartner.vendor import LOCAL_TIME_ZONE
from smspartner_schemas.contract import ExitCode

from smspartner_pipelines import options


@click.command(cls=options.GroupedCommand)
@click.argument("destination", metavar="DEST")
@click.option(
    "-o",
    "--output",
    default="report.html",
    show_default=True,
    metavar="FILE",
    help="The page, replaced as a whole; - writes it to standard output.",
)
@click.option("--lang", type=click.Choice(["en", "fr"]), default="en", show_default=True, help="Of words and numbers.")
@click.option("--timezone", default=LOCAL_TIME_ZONE, show_default=True, metavar="ZONE", help="Show times in this zone.")
@click.option(
    "--far",
    type=click.FloatRange(0, 100),
    default=5.0,
    show_default=True,
    metavar="POINTS",
    help="So many points less delivered than usual need a look.",
)
@click.option("--title", metavar="TEXT", help="The page's title.")
@options.output_options
def report(destination: str, *, output: str, lang: Any, timezone: str, far: float, title: str | None) -> ExitCode:
    """Write the campaign report as one page.

    It opens in any browser, offline, and names no phone number.

    \b
    smspartner report data/ -o report.html
    smspartner report data/ -o rapport.html --lang fr --timezone Europe/Paris
    """  # noqa: D301  # \b is click's mark
    from smspartner_pipelines.pages.campaign_report import STDOUT, ReportSettings, write_campaign_report

    written = write_campaign_report(ReportSettings(destination, output, lang, title, timezone, far))
    if written != STDOUT:
        click.echo(f"written: {written}")
    return ExitCode.OK
