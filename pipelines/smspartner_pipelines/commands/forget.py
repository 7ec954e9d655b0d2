"""The command `smspartner forget`."""

from __future__ import annotations

import sys

import click
from smspartner_schemas.contract import ExitCode

from smspartner_pipelines import options
from smspartner_pipelines.output import counted, say


@click.command(cls=options.GroupedCommand)
@click.argument("number", metavar="NUMBER")
@options.destination_option(
    "--to", multiple=True, required=True, metavar="DEST", help="Where to erase; may be repeated."
)
@options.output_options
def forget(number: str, to: tuple[str, ...]) -> ExitCode:
    """Erase a person, and never load them again.

    The rows of a phone number are removed, loaded and in quarantine. The record that keeps them out is a hash of the
    number under SMSPARTNER_PHONE_KEY, which later runs need, too. `-` reads the number from standard input, where no
    list of processes shows it. Exit code 1: the person may still be somewhere, which is named.

    \b
    smspartner forget +33612345678 --to data/
    """  # noqa: D301  # \b is click's mark
    from smspartner_pipelines.forget import forget_person
    from smspartner_pipelines.settings import phone_privacy

    if number == "-":
        number = sys.stdin.readline(100) if sys.stdin else ""
    code = ExitCode.OK
    for one in forget_person(number, to, phone_privacy("plain")):
        removed = "no row of the number was found"
        if one.rows or one.quarantined:
            removed = (
                f"{counted(one.rows, 'row')} and {counted(one.quarantined, 'row')} in quarantine removed "
                f"from {counted(one.tags, 'tag')}"
            )
        say(f"{one.uri}: {removed}; the number will not be loaded there again", to_stdout=True)
        for sentence in one.left:
            code = ExitCode.NOT_DONE
            say(f"{one.uri}: {sentence}", style="red")
    return code
