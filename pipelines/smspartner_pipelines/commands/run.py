"""The command `smspartner run`, and the settings that its options come to."""

from __future__ import annotations

import os
import sys
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from smspartner.api_key import KEY_COMMAND_VARIABLE, KEY_FILE_VARIABLE, KEY_VARIABLE
from smspartner.errors import SettingsError
from smspartner_schemas.contract import EXIT_MEANINGS, ExitCode

from smspartner_pipelines import options

if TYPE_CHECKING:
    from smspartner.connection import Connection

    from smspartner_pipelines.settings import RunSettings

_AS_GIVEN_TO_CONNECT = ("base_url", "concurrency", "timeout", "retries", "backoff")


@click.command(cls=options.GroupedCommand, exit_codes=EXIT_MEANINGS)
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
    if plan:  # without a destination, nothing is loaded yet and nothing skipped
        return _plan(_settings(tags, {**given, "to": given["to"] or ("-",)}), as_json=as_json, quiet=quiet)
    settings = _settings(tags, given)
    if as_json and "-" in settings.to:
        raise SettingsError("--json and --to - both want standard output", remedy="give one of them")
    return _run(settings, as_json=as_json, quiet=quiet)


def _run(settings: RunSettings, *, as_json: bool, quiet: bool) -> ExitCode:
    if settings.validate == "contract":
        _use_arrow_without_pandas()
    from smspartner_pipelines.output import write_result
    from smspartner_pipelines.progress import progress_on_terminal
    from smspartner_pipelines.report import print_summary, report_json
    from smspartner_pipelines.run import run as run_pipeline

    outcome = run_pipeline(settings, progress_on_terminal(quiet=quiet))
    print_summary(outcome, quiet=quiet)
    if as_json:
        write_result(report_json(outcome))
    return outcome.exit_code


class _NoPandas(MetaPathFinder):
    def find_spec(self, name: str, *_: object) -> None:
        """Say that there is no pandas."""
        if name == "pandas":
            raise ModuleNotFoundError(name=name)


def _use_arrow_without_pandas() -> None:
    """Let PyArrow look for pandas now, and find none: it takes 0.4 s and 30 MB to import, and nothing needs it.

    PyArrow looks once, for the first value that it converts. Only for a process of our own: it would not know pandas'
    missing values later.
    """
    if "pandas" not in sys.modules:
        finder = _NoPandas()
        sys.meta_path.insert(0, finder)
        try:
            import pyarrow as pa

            pa.scalar(0)
        finally:
            sys.meta_path.remove(finder)


def _plan(settings: RunSettings, *, as_json: bool, quiet: bool) -> ExitCode:
    from smspartner.redaction import REDACT

    from smspartner_pipelines.plan import plan_run
    from smspartner_pipelines.progress import progress_on_terminal

    plan = plan_run(settings, progress_on_terminal(quiet=quiet))
    click.echo(REDACT.json(plan.facts(), ensure_ascii=False, indent=2) if as_json else "\n".join(plan.lines()))
    return plan.exit_code


def _settings(tags: tuple[str, ...], given: dict[str, Any]) -> RunSettings:
    from smspartner.tags import check_tags, read_tags_file

    from smspartner_pipelines.settings import AS_GIVEN, RunSettings, parse_duration, parse_time, phone_privacy

    since = given["fresh_since"]
    of_file = read_tags_file(given["tags_file"]) if given["tags_file"] else []
    return RunSettings(
        tags=tuple(check_tags([*tags, *of_file])),
        connection=connection_from(given),
        to=tuple(given["to"]),
        fresh_for=parse_duration(given["fresh_for"], options.origin_of("fresh_for")),
        fresh_since=parse_time(since, options.origin_of("fresh_since")) if since else None,
        privacy=phone_privacy(given["phone_numbers"]),
        **{name: given[name] for name in AS_GIVEN},
    )


def connection_from(given: dict[str, Any]) -> Connection:
    """Give the connection that the options of a command ask for."""
    from smspartner.api_key import read_api_key
    from smspartner.connection import Connection, parse_rate

    return Connection(
        api_key=read_api_key(*_where_the_key_is(given["api_key_file"])),
        rate=parse_rate(given["rate"], options.origin_of("rate")) if given["rate"] else None,
        verify=given.get("verify", False),
        **{name: given[name] for name in _AS_GIVEN_TO_CONNECT},
    )


def source_of_key(key_file: str | None) -> str:
    """Name what gives the API key, the first that is set; "" where nothing is."""
    path, environ = _where_the_key_is(key_file)
    of_file = "api_key_file" if environ else "--api-key-file"
    given = {**environ, of_file: path}
    return next(filter(given.get, (KEY_VARIABLE, KEY_FILE_VARIABLE, of_file, KEY_COMMAND_VARIABLE)), "")


def _where_the_key_is(key_file: str | None) -> tuple[str | None, dict[str, str]]:
    """Give the key file to heed, and the environment: command line beats environment beats configuration file."""
    source = click.get_current_context().get_parameter_source("api_key_file")
    if source is ParameterSource.COMMANDLINE:
        return key_file, {}
    by_command = source is ParameterSource.DEFAULT_MAP and KEY_COMMAND_VARIABLE in os.environ
    return None if by_command else key_file, dict(os.environ)
