"""The command `smspartner demo`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
from smspartner_schemas.contract import ACCEPTED, ExitCode

from smspartner_pipelines.commands.sandbox import KEY
from smspartner_pipelines.output import say

if TYPE_CHECKING:
    from smspartner_pipelines.outcome import RunOutcome

MOVING, INVALID = "noel-coffrets", "nouveautes"
"""Two campaigns that show what a problem looks like: one that can't be loaded, one with rows that are not valid."""


@click.command()
@click.argument("directory", default="smspartner-demo", metavar="[DIR]")
def demo(directory: str) -> ExitCode:
    """Load a shop's campaigns; needs no API key.

    Runs twice on the sandbox, loads into DIR, and writes the campaign report there. Two campaigns have problems that
    are meant; exit code 0 says that everything else came out as it should.

    \b
    smspartner demo
    """  # noqa: D301  # \b is click's mark
    from smspartner_pipelines.commands.tags import show_tags, tag_states
    from smspartner_pipelines.pages.campaign_report import ReportSettings, write_campaign_report
    from smspartner_pipelines.reading import open_loaded

    for outcome in _runs(directory):
        if [tag for tag, row in outcome.tag_runs.items() if row["verdict"] not in ACCEPTED] != [MOVING]:
            return outcome.exit_code
    click.echo("", err=True)
    say(
        f"Exit code 3 is meant here: the sandbox changes the total of {MOVING} while it is read, and {INVALID} has "
        "three rows that are not valid. They show what a problem looks like."
    )
    click.echo("\nWhat is loaded:")
    with open_loaded(directory) as opened:
        show_tags(tag_states(opened)[0], directory)
    page = write_campaign_report(ReportSettings(directory, f"{directory}/report.html"))
    click.echo(f"\nRead it with pandas: pandas.read_parquet('{directory}/statuses')\nOpen the campaign report: {page}")
    return ExitCode.OK


def _runs(directory: str) -> Iterator[RunOutcome]:
    """Run twice, with a summary of each; pages that do not fit together are read again at once."""
    from smspartner.connection import Connection
    from smspartner.redaction import Secret

    from smspartner_pipelines.report import print_summary
    from smspartner_pipelines.run import run
    from smspartner_pipelines.sandbox import Campaign, Fault, Sandbox, shop_campaigns
    from smspartner_pipelines.settings import RunSettings

    now = int(time.time())
    campaigns = (*shop_campaigns(now), Campaign(MOVING, 1_800, now - 86_400))
    faults = Fault("total_grows", tag=MOVING), Fault("bad_status", tag=INVALID)
    with Sandbox(campaigns, faults=faults, api_key=KEY) as sandbox:
        connection = Connection(api_key=Secret(KEY), base_url=sandbox.url, pass_pauses=())
        tags = tuple(campaign.tag for campaign in campaigns)
        settings = RunSettings(tags=tags, connection=connection, to=(directory,))
        for title in (
            f"First run: {len(tags)} campaigns of a shop into {directory}/",
            "\nSecond run: what is settled is only asked for its first page",
        ):
            click.echo(title, err=True)
            outcome = run(settings)
            print_summary(outcome)
            yield outcome
