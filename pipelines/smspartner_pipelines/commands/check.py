"""The command `smspartner check`."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from smspartner_pipelines import options
from smspartner_pipelines.environment import known_variables
from smspartner_pipelines.exit_codes import MEANINGS, ExitCode
from smspartner_pipelines.given import connection_from, key_file_in_use, start_logging
from smspartner_pipelines.manual import PageCommand


@click.command(cls=PageCommand, exit_codes=MEANINGS)
@options.option("--to", multiple=True, metavar="DEST", help="A destination to check; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of lines.")
@options.phone_options
@options.connection_options
@options.config_options
@options.log_options
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
        key_file=key_file_in_use(given),
        known_variables=known_variables(click.get_current_context().find_root().command),
    ):
        findings.append(finding)
        if not as_json:
            click.echo(finding.line())
    if as_json:
        click.echo(json.dumps([finding.facts() for finding in findings], ensure_ascii=False, indent=2))
    return exit_code_of(findings)
