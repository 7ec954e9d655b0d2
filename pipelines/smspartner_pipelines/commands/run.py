"""The command `smspartner run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from smspartner.errors import SettingsError

from smspartner_pipelines import options
from smspartner_pipelines.commands.telling import tell
from smspartner_pipelines.exit_codes import MEANINGS, ExitCode
from smspartner_pipelines.given import asked_tags, connection_from, run_settings, start_logging
from smspartner_pipelines.manual import PageCommand
from smspartner_pipelines.output import make_console
from smspartner_pipelines.without_pandas import use_arrow_without_pandas

if TYPE_CHECKING:
    from smspartner.connection import Connection


@click.command(cls=PageCommand, exit_codes=MEANINGS)
@click.argument("tags", metavar="[TAG]...", nargs=-1)
@options.load_options
@options.phone_options
@options.tag_options
@options.refresh_options
@options.judging_options
@options.connection_options
@options.told_option("--plan", is_flag=True, help="Only ask for each tag's first page, and say what a run would take.")
@options.told_option("--json", "as_json", is_flag=True, envvar="SMSPARTNER_JSON", help="Put the run report on stdout.")
@options.told_option("--quiet", is_flag=True, help="No progress and no summary; errors only.")
@options.config_options
@options.log_options
def run(tags: tuple[str, ...], *, plan: bool, as_json: bool, quiet: bool, **given: Any) -> ExitCode:
    """Read the statuses of tags and load them, tag by tag, each complete or reported.

    \b
    smspartner run promo-nov relance --to data/
    smspartner run --tags-file tags.txt --to data/ --to sms.csv --rate 300/min
    smspartner run promo-nov --to data/ --plan
    """  # noqa: D301  # \b is click's mark
    start_logging(given)
    asked = asked_tags(tags, given["tags_file"])
    connection = connection_from(given)
    if plan:
        return _plan(asked, connection, given, as_json=as_json, quiet=quiet)
    settings = run_settings(asked, connection, given)
    if as_json and "-" in settings.to:
        raise SettingsError("--json and --to - both want standard output: choose one")
    if settings.validate == "contract":
        use_arrow_without_pandas()
    from smspartner_pipelines.progress import progress_on
    from smspartner_pipelines.run import run as run_pipeline

    console = make_console(quiet=quiet)
    outcome = run_pipeline(settings, progress_on(console))
    return tell(outcome, settings, console, as_json=as_json)


def _plan(
    tags: tuple[str, ...], connection: Connection, given: dict[str, Any], *, as_json: bool, quiet: bool
) -> ExitCode:
    """Tell what the run would ask for; without a destination, nothing is loaded yet and nothing skipped."""
    from smspartner_pipelines.plan import plan_run
    from smspartner_pipelines.plan_report import plan_json, print_plan
    from smspartner_pipelines.progress import progress_on

    settings = run_settings(tags, connection, {**given, "to": given["to"] or ("-",)})
    plan = plan_run(settings, progress_on(make_console(quiet=quiet)))
    if as_json:
        click.echo(plan_json(plan))
    else:
        print_plan(plan, make_console(stderr=False))
    return plan.exit_code
