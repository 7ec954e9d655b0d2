"""The command `smspartner tags`."""

from __future__ import annotations

import click

from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.output import make_console


@click.command()
@click.argument("destination", metavar="DEST")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
def tags(destination: str, *, as_json: bool) -> ExitCode:
    """Show what a destination holds of each tag: rows, how many wait, when read, whether it is settled.

    \b
    smspartner tags data/
    """  # noqa: D301  # \b is click's mark
    from smspartner_pipelines.load import open_store

    from smspartner_pipelines.report import loaded_tags_json, print_loaded_tags

    loaded = sorted(open_store(destination).loaded_tags().values(), key=lambda tag: tag.tag)
    if as_json:
        click.echo(loaded_tags_json(loaded))
    else:
        print_loaded_tags(loaded, make_console(stderr=False))
    return ExitCode.OK
