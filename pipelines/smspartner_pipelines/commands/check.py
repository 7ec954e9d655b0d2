"""The command `smspartner check`."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from smspartner_pipelines import options
from smspartner_pipelines.exit_codes import MEANINGS, ExitCode
from smspartner_pipelines.from_options import connection_from, start_logging


@click.command(cls=options.GroupedCommand, exit_codes=MEANINGS)
@options.destination_option("--to", multiple=True, metavar="DEST", help="A destination to check; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of lines.")
@options.phone_numbers_option
@options.connection_options
@options.output_options
def check(to: tuple[str, ...], *, as_json: bool, **given: Any) -> ExitCode:
    """Find what would keep a run from working, and say the cure; changes nothing that is loaded.

    One line each for the API key, the way to the API, the clock, each destination, and the versions of libraries:
    `ok`, `warn` for what may go wrong, `FAIL` for what would. The first failure gives the exit code.

    \b
    smspartner check --to data/
    """  # noqa: D301  # \b is click's mark
    start_logging(given)
    return _check(to, given, as_json=as_json)


def _check(to: tuple[str, ...], given: dict[str, Any], *, as_json: bool) -> ExitCode:
    from smspartner_pipelines.check import check_all
    from smspartner_pipelines.findings import exit_code_of

    findings = []
    for finding in check_all(
        lambda: connection_from(given),
        to,
        environment=os.environ,
        key_file=given["api_key_file"],
        known_variables=None,
    ):
        findings.append(finding)
        if not as_json:
            click.echo(finding.line())
    if as_json:
        click.echo(json.dumps([finding.facts() for finding in findings], ensure_ascii=False, indent=2))
    return exit_code_of(findings)
