"""The command `smspartner forget`."""

from __future__ import annotations

import sys
from typing import Any

import click

from smspartner_pipelines import options
from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.given import phone_privacy, start_logging


@click.command()
@click.argument("number", metavar="NUMBER")
@options.option("--to", multiple=True, required=True, metavar="DEST", help="Where to erase; may be repeated.")
@options.config_options
@options.log_options
def forget(number: str, to: tuple[str, ...], **given: Any) -> ExitCode:
    """Erase a person: remove the rows of a phone number, loaded and quarantined, and never load them again.

    The record that keeps them out is a hash of the number under SMSPARTNER_PHONE_KEY, which later runs need, too.
    `-` reads the number from standard input, where no list of processes shows it.

    \b
    smspartner forget +33612345678 --to data/
    """  # noqa: D301  # \b is click's mark
    from smspartner_pipelines.forget import forget_person

    start_logging(given)
    asked = sys.stdin.readline() if number == "-" else number
    return forget_person(asked, to, phone_privacy("plain"), click.echo)
