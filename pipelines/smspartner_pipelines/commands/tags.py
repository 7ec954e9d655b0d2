"""The command `smspartner tags`."""

from __future__ import annotations

import click

from smspartner_pipelines.exit_codes import ExitCode


@click.command()
@click.argument("destination", metavar="DEST")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
def tags(destination: str, *, as_json: bool) -> ExitCode:
    """Show each tag: rows, share delivered, state.

    A line for every tag that was ever asked for, loaded or not.

    States: settled (nothing waits any more), open (more is to come), quarantine (rows are not valid), damaged (can't be
    read, and is read again by the next run), or the verdict of the last run where that was not in order.

    \b
    smspartner tags data/
    """  # noqa: D301  # \b is click's mark
    from smspartner.redaction import REDACT

    from smspartner_pipelines.loaded import lines_for_people, reading, tag_states

    with reading(destination) as opened:
        states, damages = tag_states(opened)
    if as_json:
        facts = [one.facts() for one in states]
        click.echo(REDACT.json(facts, ensure_ascii=False, indent=2, default=lambda time: time.isoformat()))
        for damage in damages:
            click.echo(f"damaged: {damage.place}: {damage.what}", err=True)
    else:
        click.echo("\n".join(lines_for_people(states, damages, opened.uri)))
    return ExitCode.OK
