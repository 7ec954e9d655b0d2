"""The command `smspartner run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from smspartner.errors import SettingsError

from smspartner_pipelines import options
from smspartner_pipelines.exit_codes import MEANINGS, ExitCode
from smspartner_pipelines.from_options import asked_tags, run_settings, start_logging

if TYPE_CHECKING:
    from smspartner_pipelines.settings import RunSettings


@click.command(cls=options.GroupedCommand, exit_codes=MEANINGS)
@click.argument("tags", metavar="[TAG]...", nargs=-1)
@options.tag_options
@options.load_options
@options.incremental_options
@options.validation_options
@options.connection_options
@options.output_option(
    "--plan", is_flag=True, help="Only ask for each tag's first page, and say what a run would take."
)
@options.json_option
@options.quiet_option
@options.output_options
def run(tags: tuple[str, ...], *, plan: bool, as_json: bool, quiet: bool, **given: Any) -> ExitCode:
    """Read the statuses of tags, and load them.

    Each tag is loaded completely, or reported with the reason.

    \b
    smspartner run promo-nov relance --to data/
    smspartner run --tags-file tags.txt --to data/ --to sms.csv --rate 300/min
    smspartner run promo-nov --to data/ --plan
    """  # noqa: D301  # \b is click's mark
    start_logging(given)
    asked = asked_tags(tags, given["tags_file"])
    if plan:  # without a destination, nothing is loaded yet and nothing skipped
        return _plan(run_settings(asked, {**given, "to": given["to"] or ("-",)}), as_json=as_json, quiet=quiet)
    settings = run_settings(asked, given)
    if as_json and "-" in settings.to:
        raise SettingsError("--json and --to - both want standard output", remedy="give one of them")
    return _run(settings, as_json=as_json, quiet=quiet)


def _run(settings: RunSettings, *, as_json: bool, quiet: bool) -> ExitCode:
    if settings.validate == "contract":
        from smspartner_pipelines.without_pandas import use_arrow_without_pandas

        use_arrow_without_pandas()
    from smspartner_pipelines.progress import progress_on_terminal
    from smspartner_pipelines.report import report_json
    from smspartner_pipelines.run import run as run_pipeline
    from smspartner_pipelines.summary import print_summary

    outcome = run_pipeline(settings, progress_on_terminal(quiet=quiet))
    print_summary(outcome, quiet=quiet)
    if as_json:
        click.echo(report_json(outcome), nl=False)
    return outcome.exit_code


def _plan(settings: RunSettings, *, as_json: bool, quiet: bool) -> ExitCode:
    from smspartner.redaction import REDACT

    from smspartner_pipelines.plan import plan_run
    from smspartner_pipelines.progress import progress_on_terminal

    plan = plan_run(settings, progress_on_terminal(quiet=quiet))
    click.echo(REDACT.json(plan.facts(), ensure_ascii=False, indent=2) if as_json else "\n".join(plan.lines()))
    return plan.exit_code
