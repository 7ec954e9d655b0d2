"""The command `smspartner`: what is typed, and which function it calls. Imports stay light: `--help` must be quick."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click
from smspartner.errors import AccessRefused, Interrupted, SettingsError, SmsPartnerError
from smspartner.redaction import REDACT, Redactor, Secret

from smspartner_pipelines import options
from smspartner_pipelines.exit_codes import MEANINGS, ExitCode
from smspartner_pipelines.output import redacted_output
from smspartner_pipelines.streams import OutputFailed

if TYPE_CHECKING:
    from rich.console import Console
    from smspartner.connection import Connection
    from smspartner.phone_privacy import PhonePrivacy

    from smspartner_pipelines.outcomes import RunOutcome
    from smspartner_pipelines.settings import RunSettings

_EXIT_CODES = "\b\nExit codes:\n" + "\n".join(
    f"  {int(code):>3}  {meaning.replace('`', '')}" for code, meaning in MEANINGS.items()
)


def run_command(arguments: list[str]) -> ExitCode:
    """Run a command and give its exit code; nothing that is written meanwhile shows a secret."""
    with redacted_output():
        return _run_command(arguments)


def _run_command(arguments: list[str]) -> ExitCode:
    """Run a command; whatever goes wrong is told in one sentence, without a traceback."""
    try:
        code = smspartner.main(arguments, prog_name="smspartner", standalone_mode=False)
        if sys.stdout is not None:  # it is where standard output is closed
            sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        failed, told = ExitCode.INTERRUPTED, "interrupted"
    except (BrokenPipeError, SystemExit):  # which is what click makes of it
        failed, told = ExitCode.NOT_DONE, "standard output was closed before everything was written"
    except OutputFailed as exc:
        from smspartner.load.atomic import destination_error

        failed, told = ExitCode.NOT_DONE, str(destination_error(exc, "writing to standard output"))
    except (click.ClickException, SmsPartnerError) as exc:
        failed, told = _exit_code(exc), exc.format_message() if isinstance(exc, click.ClickException) else str(exc)
    except Exception as exc:  # noqa: BLE001  # a bug: its text might hold data, its place does not
        failed, told = ExitCode.NOT_DONE, _bug(exc)
    else:
        return ExitCode(code) if isinstance(code, int) else ExitCode.OK
    click.echo(f"error: {_without_secrets(told)}", err=True)
    return failed


def _without_secrets(told: str) -> str:
    """Hide the environment's secrets: an option may hold one by mistake, and be refused before they are read."""
    return Redactor(*_secrets())(told)


def _secrets() -> list[Secret]:
    names = (f"{options.PREFIX}{name}" for name in ("API_KEY", "PHONE_KEY", "RETIRED_PHONE_KEYS"))
    return [Secret(line.strip()) for name in names for line in os.environ.get(name, "").splitlines()]


def _exit_code(exc: Exception) -> ExitCode:
    by_class = {
        click.ClickException: ExitCode.WRONG_SETTINGS,
        SettingsError: ExitCode.WRONG_SETTINGS,
        AccessRefused: ExitCode.REFUSED,
        Interrupted: ExitCode.INTERRUPTED,
    }
    return next((code for kind, code in by_class.items() if isinstance(exc, kind)), ExitCode.NOT_DONE)


def _bug(exc: Exception) -> str:
    return f"a bug, not your doing: {_place(exc)}; please report it"


def _place(exc: Exception) -> str:
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" in {trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno}" if trace else ""
    return f"{type(exc).__name__}{where}"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="smspartner-connector", prog_name="smspartner")
def smspartner() -> None:
    """Load the delivery statuses of SMS sent through SMS Partner: complete or reported, typed, validated.

    \b
    Try it without an API key:   smspartner demo
    The main job:                smspartner run promo-nov relance --to data/
    """  # noqa: D301  # \b is click's mark


@smspartner.command(epilog=_EXIT_CODES)
@click.argument("tags", metavar="[TAG]...", nargs=-1)
@options.load_options
@options.judging_options
@options.tag_options
@options.phone_options
@options.connection_options
@options.config_options
@options.option("--plan", is_flag=True, help="Only ask for each tag's first page, and say what a run would take.")
@options.option("--json", "as_json", is_flag=True, envvar="SMSPARTNER_JSON", help="Put the run report on stdout.")
@options.option("--quiet", is_flag=True, help="No progress and no summary; errors only.")
@options.log_options
def run(tags: tuple[str, ...], *, plan: bool, as_json: bool, quiet: bool, **given: Any) -> ExitCode:
    """Read the statuses of tags and load them, tag by tag, each complete or reported.

    \b
    smspartner run promo-nov relance --to data/
    smspartner run --tags-file tags.txt --to data/ --to statuses.csv --rate 300/min
    """  # noqa: D301  # \b is click's mark
    _configure_logging(given)
    asked = _asked_tags(tags, given["tags_file"])
    connection = _connection(given)
    if plan:
        from smspartner_pipelines.plan import print_plan

        return print_plan(asked, connection, _console(quiet=False, stderr=False))
    settings = _run_settings(asked, connection, given)
    if as_json and "-" in settings.to:
        raise SettingsError("--json and --to - both want standard output: choose one")
    outcome = _run(settings, _console(quiet=quiet))
    if as_json:
        from smspartner_pipelines.report import report_json

        click.echo(report_json(outcome, settings), nl=False)
    return outcome.exit_code


def _run(settings: RunSettings, console: Console) -> RunOutcome:
    from smspartner_pipelines.progress import Bar, Silent
    from smspartner_pipelines.report import error_lines, print_summary
    from smspartner_pipelines.run import run as run_pipeline

    outcome = run_pipeline(settings, Bar(console) if console.is_terminal and not console.quiet else Silent())
    print_summary(outcome, console)
    for line in error_lines(outcome) if console.quiet else ():
        click.echo(line, err=True)
    return outcome


@smspartner.command()
@options.option("--to", multiple=True, metavar="DEST", help="A destination to check; may be repeated.")
@options.option(
    "--leaks",
    is_flag=True,
    help="Instead of all else: load from the built-in sandbox, which repeats the key, fails and cuts, and search "
    "all that is written for the key, the phone key and phone numbers. Takes about 10 seconds.",
)
@options.option("--expectations", metavar="FILE", help="With --leaks: your own suite.")
@options.phone_options
@options.connection_options
@options.config_options
@options.log_options
def check(to: tuple[str, ...], *, leaks: bool, **given: Any) -> ExitCode:
    """Check that the API accepts the key and that destinations can be written; changes nothing.

    With --leaks, check that nothing written under your settings tells a secret: one line for each kind of output.

    \b
    smspartner check --to data/
    smspartner check --leaks --config smspartner.toml
    """  # noqa: D301  # \b is click's mark
    _configure_logging(given)
    if leaks:
        from smspartner_pipelines.leak_check import check_leaks

        return check_leaks(_connection(given), _privacy(given["phone_numbers"]), given["expectations"], click.echo)
    from smspartner_pipelines.check import check_all

    return check_all(lambda: _connection(given), to, click.echo)


@smspartner.command()
@click.argument("destination", metavar="DEST")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
def tags(destination: str, *, as_json: bool) -> ExitCode:
    """Show what a destination holds of each tag: rows, how many wait, when read, whether it is settled.

    \b
    smspartner tags data/
    """  # noqa: D301  # \b is click's mark
    from smspartner.load import open_store

    from smspartner_pipelines.report import loaded_tags_json, print_loaded_tags

    loaded = sorted(open_store(destination).loaded_tags().values(), key=lambda tag: tag.tag)
    if as_json:
        click.echo(loaded_tags_json(loaded))
    else:
        print_loaded_tags(loaded, _console(quiet=False, stderr=False))
    return ExitCode.OK


@smspartner.command()
@click.argument("destination", metavar="DEST")
@click.option(
    "--replay", is_flag=True, help="Read the rows once more, by the code of today, and load what it believes."
)
@options.judging_options
@click.option("--json", "as_json", is_flag=True, help="One JSON array; with --replay, the run report.")
@options.config_options
@options.log_options
def quarantine(destination: str, *, replay: bool, as_json: bool, **given: Any) -> ExitCode:
    """Count the rows in quarantine by tag and reason, without showing them; or give them another chance.

    \b
    smspartner quarantine data/
    smspartner quarantine data/ --replay
    """  # noqa: D301  # \b is click's mark
    _configure_logging(given)
    if replay:
        return _replay(destination, given, as_json=as_json)
    from smspartner.load import open_store

    from smspartner_pipelines.quarantine import doubts_in, doubts_json, print_doubts

    doubts = doubts_in(open_store(destination))
    if as_json:
        click.echo(doubts_json(doubts))
    else:
        print_doubts(doubts, _console(quiet=False, stderr=False))
    return ExitCode.OK


def _replay(destination: str, given: dict[str, Any], *, as_json: bool) -> ExitCode:
    from smspartner_pipelines.replay_run import ReplaySettings, replay_quarantine
    from smspartner_pipelines.report import print_summary, report_json

    settings = ReplaySettings(destination, given["validate"], given["expectations"], given["allow_quarantined"])
    outcome = replay_quarantine(settings)
    print_summary(outcome, _console(quiet=False))
    if as_json:
        click.echo(report_json(outcome, settings), nl=False)
    return outcome.exit_code


@smspartner.command()
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

    _configure_logging(given)
    asked = sys.stdin.readline() if number == "-" else number
    return forget_person(asked, to, _privacy("plain"), click.echo)


@smspartner.command()
@click.option(
    "--format",
    "style",
    type=click.Choice(["table", "json", "sql", "gx"]),
    default="table",
    show_default=True,
    help="table: Markdown; sql: CREATE TABLE; gx: a Great Expectations suite.",
)
@click.option(
    "--dialect",
    type=click.Choice(["duckdb", "postgresql"]),
    default="postgresql",
    show_default=True,
    help="Of the SQL.",
)
@options.phone_options
def schema(style: str, dialect: Any, phone_numbers: Any) -> None:
    """Print the contract: columns, types, allowed values.

    \b
    smspartner schema --format sql --dialect duckdb
    """  # noqa: D301  # \b is click's mark
    from smspartner_pipelines.printing import contract_as

    click.echo(contract_as(style, dialect, phone_numbers))


@smspartner.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8025, show_default=True, help="0 takes a free one.")
@click.option("--page-size", type=click.IntRange(1), default=1000, show_default=True, help="Rows of a page.")
@click.option("--latency", type=click.FloatRange(0), default=0.05, show_default=True, metavar="SECONDS")
@click.option("--fault", "faults", multiple=True, metavar="KIND[:tag=T,page=P,times=N]", help="May be repeated.")
@click.option("--list-faults", is_flag=True, help="Say which kinds of fault there are.")
def sandbox(port: int, page_size: int, latency: float, faults: tuple[str, ...], *, list_faults: bool) -> None:
    """Serve a local stand-in of the API, with campaigns and faults to rehearse a job on.

    \b
    smspartner sandbox --fault rate_limit_seconds:times=3 --fault cut_json:tag=promo-nov,page=2,times=1
    """  # noqa: D301  # \b is click's mark
    from smspartner_pipelines.rehearsal import describe_faults, serve_sandbox

    if list_faults:
        click.echo(describe_faults())
    else:
        serve_sandbox(port, page_size, latency, faults, click.echo)


@smspartner.command()
@click.argument("directory", default="smspartner-demo", metavar="[DIR]")
def demo(directory: str) -> ExitCode:
    """Run the main job twice on the built-in sandbox, into DIR, and show what was loaded. Needs no API key.

    \b
    smspartner demo
    """  # noqa: D301  # \b is click's mark
    from smspartner_pipelines.rehearsal import run_demo

    return run_demo(directory, _console(quiet=False, stderr=False))


def _asked_tags(tags: tuple[str, ...], tags_file: str | None) -> tuple[str, ...]:
    from smspartner.tags import check_tags, read_tags_file

    return tuple(check_tags([*tags, *(read_tags_file(tags_file) if tags_file else [])]))


def _connection(given: dict[str, Any]) -> Connection:
    from smspartner.connection import KEY_VARIABLE, Connection, parse_rate, read_api_key

    source = click.get_current_context().get_parameter_source("api_key_file")
    from_command_line = source is click.core.ParameterSource.COMMANDLINE
    environment = {} if from_command_line else dict(os.environ)
    key_file = given["api_key_file"] if from_command_line or not environment.get(KEY_VARIABLE) else None
    return Connection(
        api_key=read_api_key(key_file, environment),
        base_url=given["base_url"],
        concurrency=given["concurrency"],
        rate=parse_rate(given["rate"]) if given["rate"] else None,
        timeout=given["timeout"],
        retries=given["retries"],
        backoff=given["backoff"],
        verify=given.get("verify", False),
    )


def _run_settings(tags: tuple[str, ...], connection: Connection, given: dict[str, Any]) -> RunSettings:
    from smspartner_pipelines.settings import RunSettings, parse_duration

    return RunSettings(
        tags=tags,
        connection=connection,
        to=tuple(given["to"]),
        refresh=given["refresh"],
        fresh_for=parse_duration(given["fresh_for"]),
        validate=given["validate"],
        expectations=given["expectations"],
        allow_quarantined=given["allow_quarantined"],
        allow_shrink=given["allow_shrink"],
        privacy=_privacy(given["phone_numbers"]),
        csv_dialect=given["csv_dialect"],
    )


def _privacy(form: Any) -> PhonePrivacy:
    from smspartner.phone_privacy import PHONE_KEY_VARIABLE, RETIRED_KEYS_VARIABLE, PhonePrivacy

    keys = [os.environ.get(PHONE_KEY_VARIABLE, ""), *os.environ.get(RETIRED_KEYS_VARIABLE, "").splitlines()]
    current, *retired = [Secret(key) if key.strip() else None for key in keys]
    return PhonePrivacy(form, current, tuple(filter(None, retired)))


def _configure_logging(given: dict[str, Any]) -> None:
    from smspartner_pipelines.logs import configure_logging

    for secret in _secrets():
        REDACT.add(secret)
    by_count = ("warning", "info", "debug")[min(given["verbose"], 2)]
    configure_logging(given["log_level"] or by_count, given["log_format"])


def _console(*, quiet: bool, stderr: bool = True) -> Console:
    from smspartner_pipelines.output import make_console

    return make_console(quiet=quiet, stderr=stderr)
