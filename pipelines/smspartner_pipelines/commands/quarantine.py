"""The command `smspartner quarantine`."""

from __future__ import annotations

from typing import Any

import click

from smspartner_pipelines import options
from smspartner_pipelines.commands.telling import tell
from smspartner_pipelines.exit_codes import MEANINGS, ExitCode
from smspartner_pipelines.given import start_logging
from smspartner_pipelines.manual import PageCommand
from smspartner_pipelines.output import make_console


@click.command(cls=PageCommand, exit_codes=MEANINGS)
@click.argument("destination", metavar="DEST")
@click.option(
    "--replay", is_flag=True, help="Read the rows once more, by the code of today, and load what it believes."
)
@options.judging_options
@click.option("--json", "as_json", is_flag=True, help="One JSON array; with --replay, the run report.")
@options.option("--quiet", is_flag=True, help="No summary of a replay.")
@options.config_options
@options.log_options
def quarantine(destination: str, *, replay: bool, as_json: bool, quiet: bool, **given: Any) -> ExitCode:
    """Count the rows in quarantine by tag and reason, without showing them; or give them another chance.

    \b
    smspartner quarantine data/
    smspartner quarantine data/ --replay
    """  # noqa: D301  # \b is click's mark
    start_logging(given)
    if replay:
        return _replay(destination, given, as_json=as_json, quiet=quiet)
    from smspartner_pipelines.load import open_store

    from smspartner_pipelines.quarantine import doubts_in, doubts_json, print_doubts

    doubts = doubts_in(open_store(destination))
    if as_json:
        click.echo(doubts_json(doubts))
    else:
        print_doubts(doubts, make_console(stderr=False))
    return ExitCode.OK


def _replay(destination: str, given: dict[str, Any], *, as_json: bool, quiet: bool) -> ExitCode:
    from smspartner_pipelines.replay_run import ReplaySettings, replay_quarantine

    settings = ReplaySettings(destination, given["validate"], given["expectations"], given["allow_quarantined"])
    return tell(replay_quarantine(settings), settings, make_console(quiet=quiet), as_json=as_json)
