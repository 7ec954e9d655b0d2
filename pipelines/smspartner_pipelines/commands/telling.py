"""How a run that a command has made is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from smspartner_pipelines.exit_codes import ExitCode
    from smspartner_pipelines.outcomes import RunOutcome
    from smspartner_pipelines.settings import PublicSettings


def tell(outcome: RunOutcome, settings: PublicSettings, console: Console, *, as_json: bool) -> ExitCode:
    """Tell how a run ended: people on standard error, programs on standard output."""
    from smspartner_pipelines.report import error_lines, print_summary, report_json

    print_summary(outcome, console)
    for line in error_lines(outcome) if console.quiet else ():
        click.echo(line, err=True)
    if as_json:
        click.echo(report_json(outcome, settings), nl=False)
    return outcome.exit_code
