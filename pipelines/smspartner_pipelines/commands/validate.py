"""The command `smspartner validate`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from smspartner_schemas.contract import ExitCode

from smspartner_pipelines import options
from smspartner_pipelines.output import counted, say, text_table, write_result

_MEANINGS = {
    ExitCode.OK: "everything holds",
    ExitCode.NOT_DONE: "the destination can't be read, the page can't be written, or an expectation can't be evaluated",
    ExitCode.WRONG_SETTINGS: "usage or settings are wrong, or nothing was ever loaded there",
    ExitCode.ROWS_IN_QUARANTINE: "something fails: rows, tags as a whole, or files that can't be read",
    ExitCode.INTERRUPTED: "interrupted",
}
_MOST_FINDINGS = 30


@click.command(cls=options.GroupedCommand, exit_codes=_MEANINGS)
@click.argument("destination", metavar="DEST")
@options.output_option(
    "-o", "--output", default="validation", show_default=True, metavar="DIR", help="Where the page and its JSON go."
)
@options.expectations_option
@options.json_option
@options.quiet_option
@options.output_options
def validate(destination: str, *, output: str, expectations: str | None, as_json: bool, quiet: bool) -> ExitCode:
    """Check all that is loaded, and write a page.

    The page opens offline, and shows no phone number. Great Expectations judges the rows by the contract's suite and
    yours; beside it, each tag must be readable, and hold what was loaded. What can't be read is named, and the rest is
    checked.

    \b
    smspartner validate data/
    smspartner validate data/ -o validation/ --expectations mine.json
    """  # noqa: D301  # \b is click's mark
    from smspartner_pipelines.pages.validation_page import prepare_folder, validation_json, write_validation
    from smspartner_pipelines.reading import open_loaded
    from smspartner_pipelines.validate import validate_loaded

    folder = Path(output)
    with open_loaded(destination, shown=not quiet) as opened:
        prepare_folder(folder)
        document = validate_loaded(opened, expectations)
    page = write_validation(folder, document)
    for line in _lines(document, page, quiet=quiet):
        say(line, style="green" if document["success"] else "red")
    if as_json:
        write_result(validation_json(document))
    return ExitCode.OK if document["success"] else ExitCode.ROWS_IN_QUARANTINE


def _lines(document: dict[str, Any], page: Path, *, quiet: bool) -> Iterator[str]:
    """Say what fails, then how it ended, and where the page is."""
    findings = document["findings"]
    tags = document["tags"] + len(document["tags_not_read"])
    of_what = f"{counted(document['rows'], 'row')} of {counted(tags, 'tag')}"
    if not findings:
        if not quiet:
            yield f"everything holds: {of_what} in {document['destination']}"
            yield f"page: {page}"
        return
    rows = [
        (one["tag"] or "?", one["rule"], "" if one["rows"] is None else f"{one['rows']:,}", one["what"])
        for one in findings[:_MOST_FINDINGS]
    ]
    yield from text_table(("tag", "rule", "rows", "what was found"), rows, ("rows",))
    if len(findings) > len(rows):
        yield f"and {counted(len(findings) - len(rows), 'more finding')}"
    failed = f"{counted(document['tags_failed'], 'tag')} and {counted(document['rows_failed'], 'row')}"
    yield f"not everything holds: {failed} fail, of {of_what} in {document['destination']}"
    yield f"page: {page}"
