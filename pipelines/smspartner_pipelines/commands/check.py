"""The command `smspartner check`."""

from __future__ import annotations

import json
from typing import Any

import click

from smspartner_pipelines import options
from smspartner_pipelines.environment import unknown_variables
from smspartner_pipelines.exit_codes import MEANINGS, ExitCode
from smspartner_pipelines.from_options import connection_from, start_logging


@click.command(cls=options.GroupedCommand, exit_codes=MEANINGS)
@options.destination_option("--to", multiple=True, metavar="DEST", help="A destination to check; may be repeated.")
@click.option(
    "--probe",
    metavar="TAG",
    help="Instead: find out how the API answers for this tag where its documentation is silent.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of lines.")
@options.connection_options
@options.output_options
def check(to: tuple[str, ...], *, probe: str | None, as_json: bool, **given: Any) -> ExitCode:
    """Find what would keep a run from working.

    Nothing that is loaded is changed. One line each for the API key, the proxy, each destination, and the versions of
    libraries: `ok`, `warn` for what may go wrong, `FAIL` for what would. Ends with the exit code a run would end with.

    With --probe, ask for about nine pages of a tag, best one of several hundred messages, and print a report: page
    size, what the total counts, pages beyond the end, types, order, headers. It holds no key, number or tag: please
    send it to the authors of this program.

    \b
    smspartner check --to data/
    smspartner check --probe promo-nov
    """  # noqa: D301  # \b is click's mark
    start_logging(given)
    return _check(to, given, as_json=as_json) if probe is None else _probe(probe, given, as_json=as_json)


def _check(to: tuple[str, ...], given: dict[str, Any], *, as_json: bool) -> ExitCode:
    from smspartner_pipelines.check import check_all, exit_code_of

    program: Any = click.get_current_context().find_root().command
    findings = []
    unknown = unknown_variables(program)
    for finding in check_all(lambda: connection_from(given), to, unknown, given["api_key_file"]):
        findings.append(finding)
        if not as_json:
            click.echo(finding.line())
    if as_json:
        click.echo(json.dumps([finding.facts() for finding in findings], ensure_ascii=False, indent=2))
    return exit_code_of(findings)


def _probe(tag: str, given: dict[str, Any], *, as_json: bool) -> ExitCode:
    from smspartner.tags import check_tags

    from smspartner_pipelines.probe import as_lines, probe_api

    (checked,) = check_tags([tag])
    report = probe_api(checked, connection_from(given))
    click.echo(json.dumps(report, ensure_ascii=False, indent=2) if as_json else "\n".join(as_lines(report)))
    return ExitCode.OK
