"""The command `smspartner validate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from smspartner_pipelines import options
from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.from_options import start_logging

_MEANINGS = {
    ExitCode.OK: "everything holds",
    ExitCode.NOT_DONE: "the destination can't be read, pages can't be written, or an expectation can't be evaluated",
    ExitCode.WRONG_SETTINGS: "usage or settings are wrong, or nothing was ever loaded there",
    ExitCode.ROWS_IN_QUARANTINE: "what is loaded can't be believed: rows, or tags as a whole, fail",
    ExitCode.INTERRUPTED: "interrupted",
}


@click.command(cls=options.GroupedCommand, exit_codes=_MEANINGS)
@click.argument("destination", metavar="DEST")
@click.option(
    "-o",
    "--output",
    default="validation",
    show_default=True,
    metavar="DIR",
    help="Where the pages go; earlier ones stay, and the index lists all.",
)
@options.expectations_option
@click.option("--json", "as_json", is_flag=True, help="Put the result on stdout.")
@options.quiet_option
@options.output_options
def validate(
    destination: str, *, output: str, expectations: str | None, as_json: bool, quiet: bool, **given: Any
) -> ExitCode:
    """Check all that is loaded in a destination, and write the result as pages that open offline.

    Great Expectations judges the rows by the contract's suite and yours; beside it, each tag must be readable and its
    books must balance. DIR/index.html lists all validations. No page shows a phone number.

    \b
    smspartner validate data/
    smspartner validate data/ -o validation/ --expectations mine.json
    """  # noqa: D301  # \b is click's mark
    start_logging(given)
    from rich.console import Console
    from smspartner_pipelines.load import open_store
    from smspartner_pipelines.user_suite import load_user_suite
    from smspartner_pipelines.validate_loaded import validate_loaded
    from smspartner_pipelines.validation_files import document_json, prepare_folder, write_validation
    from smspartner_pipelines.validation_telling import closing_line, print_validation

    user_suite = load_user_suite(expectations) if expectations else None
    store, folder = open_store(destination), Path(output)
    prepare_folder(folder)
    outcome = validate_loaded(store, user_suite)
    document = outcome.document()
    page = write_validation(folder, document)
    print_validation(document, page, Console(stderr=True, quiet=quiet))
    if quiet and outcome.exit_code is not ExitCode.OK:
        click.echo(f"error: {closing_line(document)}", err=True)
    if as_json:
        click.echo(document_json(document), nl=False)
    return outcome.exit_code
