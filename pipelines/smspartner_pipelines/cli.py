"""The command `smspartner`: what is typed, and which function it calls. Imports stay light: `--help` must be quick."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
from smspartner.errors import SettingsError
from smspartner.load import learn_secrets

from smspartner_pipelines import options
from smspartner_pipelines.endings import exit_code_of
from smspartner_pipelines.exit_codes import MEANINGS, ExitCode
from smspartner_pipelines.given import asked_tags, connection_from, phone_privacy, run_settings, start_logging
from smspartner_pipelines.output import make_console, redacted_output
from smspartner_pipelines.without_pandas import use_arrow_without_pandas

if TYPE_CHECKING:
    from rich.console import Console

    from smspartner_pipelines.outcomes import RunOutcome
    from smspartner_pipelines.settings import PublicSettings

_EXIT_CODES = "\b\nExit codes:\n" + "\n".join(
    f"  {int(code):>3}  {meaning.replace('`', '')}" for code, meaning in MEANINGS.items()
)


def run_command(arguments: list[str]) -> ExitCode:
    """Run a command and give its exit code; nothing that is written meanwhile shows a secret."""
    for argument in arguments:  # before any of it is told
        learn_secrets(argument)
    with redacted_output():
        return exit_code_of(lambda: smspartner.main(arguments, prog_name="smspartner", standalone_mode=False))


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
    start_logging(given)
    asked = asked_tags(tags, given["tags_file"])
    connection = connection_from(given)
    if plan:
        from smspartner_pipelines.plan import print_plan

        return print_plan(asked, connection, make_console(stderr=False))
    settings = run_settings(asked, connection, given)
    if as_json and "-" in settings.to:
        raise SettingsError("--json and --to - both want standard output: choose one")
    if settings.validate == "contract":
        use_arrow_without_pandas()
    from smspartner_pipelines.progress import Bar, Silent
    from smspartner_pipelines.run import run as run_pipeline

    console = make_console(quiet=quiet)
    outcome = run_pipeline(settings, Bar(console) if console.is_terminal and not quiet else Silent())
    return _tell(outcome, settings, console, as_json=as_json)


def _tell(outcome: RunOutcome, settings: PublicSettings, console: Console, *, as_json: bool) -> ExitCode:
    """Tell how a run ended: people on standard error, programs on standard output."""
    from smspartner_pipelines.report import error_lines, print_summary, report_json

    print_summary(outcome, console)
    for line in error_lines(outcome) if console.quiet else ():
        click.echo(line, err=True)
    if as_json:
        click.echo(report_json(outcome, settings), nl=False)
    return outcome.exit_code


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
    start_logging(given)
    if leaks:
        from smspartner_pipelines.leak_check import check_leaks

        return check_leaks(
            connection_from(given), phone_privacy(given["phone_numbers"]), given["expectations"], click.echo
        )
    from smspartner_pipelines.check import check_all

    return check_all(lambda: connection_from(given), to, click.echo)


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
        print_loaded_tags(loaded, make_console(stderr=False))
    return ExitCode.OK


@smspartner.command()
@click.argument("destination", metavar="DEST")
@click.option(
    "--replay", is_flag=True, help="Read the rows once more, by the code of today, and load what it believes."
)
@options.judging_options
@click.option("--json", "as_json", is_flag=True, help="One JSON array; with --replay, the run report.")
@options.option("--quiet", is_flag=True, help="No summary of a replay.")
@options.config_options
@options.log_options
def quarantine(destination: str, *, replay: bool, as_json: bool, quiet: bool, **given: Any) -> ExitCode:
    """Count the rows in quarantine by tag and reason, without showing them; or give them another chance.

    \b
    smspartner quarantine data/
    smspartner quarantine data/ --replay
    """  # noqa: D301  # \b is click's mark
    start_logging(given)
    if replay:
        return _replay(destination, given, as_json=as_json, quiet=quiet)
    from smspartner.load import open_store

    from smspartner_pipelines.quarantine import doubts_in, doubts_json, print_doubts

    doubts = doubts_in(open_store(destination))
    if as_json:
        click.echo(doubts_json(doubts))
    else:
        print_doubts(doubts, make_console(stderr=False))
    return ExitCode.OK


def _replay(destination: str, given: dict[str, Any], *, as_json: bool, quiet: bool) -> ExitCode:
    from smspartner_pipelines.replay_run import ReplaySettings, replay_quarantine

    settings = ReplaySettings(destination, given["validate"], given["expectations"], given["allow_quarantined"])
    return _tell(replay_quarantine(settings), settings, make_console(quiet=quiet), as_json=as_json)


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

    start_logging(given)
    asked = sys.stdin.readline() if number == "-" else number
    return forget_person(asked, to, phone_privacy("plain"), click.echo)


@smspartner.command()
@click.argument("destination", metavar="DEST")
@options.option(
    "--retain",
    default="7d",
    show_default=True,
    metavar="DURATION",
    help="Keep what readers of old versions need for so long: 0, 12h, 7d.",
)
@options.config_options
@options.log_options
def compact(destination: str, *, retain: str, **given: Any) -> ExitCode:
    """Make a destination small and quick to read: merge files, remove those of old versions, clean logs.

    \b
    smspartner compact delta:lake/
    """  # noqa: D301  # \b is click's mark
    from smspartner_pipelines.compact import compact_store
    from smspartner_pipelines.settings import parse_duration

    start_logging(given)
    return compact_store(destination, parse_duration(retain), click.echo)


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

    return run_demo(directory, make_console(stderr=False))
