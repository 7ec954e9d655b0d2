"""The command `smspartner compact`."""

from __future__ import annotations

from typing import Any

import click

from smspartner_pipelines import options
from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.given import start_logging


@click.command()
@click.argument("destination", metavar="DEST")
@options.option(
    "--retain",
    default="7d",
    show_default=True,
    metavar="DURATION",
    help="Keep what readers of old versions need for so long: 0, 12h, 7d.",
)
@options.config_options
@options.log_options
def compact(destination: str, *, retain: str, **given: Any) -> ExitCode:
    """Make a destination small and quick to read: merge files, remove those of old versions, clean logs.

    \b
    smspartner compact delta:lake/
    """  # noqa: D301  # \b is click's mark
    from smspartner_pipelines.compact import compact_store
    from smspartner_pipelines.settings import parse_duration

    start_logging(given)
    return compact_store(destination, parse_duration(retain), click.echo)
