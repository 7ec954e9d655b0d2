"""The command `smspartner`, its commands, and how each ends. Imports stay light: `--help` must be quick."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from click.exceptions import NoArgsIsHelpError
from smspartner.api_key import (
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    PHONE_KEY_VARIABLE,
    RETIRED_KEYS_VARIABLE,
    learn_key_file,
)
from smspartner.errors import AccessRefused, SettingsError, SmsPartnerError
from smspartner.redaction import REDACT, Secret
from smspartner_schemas.contract import ExitCode

from smspartner_pipelines.commands.check import check
from smspartner_pipelines.commands.demo import demo
from smspartner_pipelines.commands.forget import forget
from smspartner_pipelines.commands.quarantine import quarantine
from smspartner_pipelines.commands.report import report
from smspartner_pipelines.commands.run import run
from smspartner_pipelines.commands.sandbox import sandbox
from smspartner_pipelines.commands.schema import schema
from smspartner_pipelines.commands.tags import tags
from smspartner_pipelines.commands.validate import validate
from smspartner_pipelines.load import learn_secrets
from smspartner_pipelines.options import PREFIX, origin
from smspartner_pipelines.output import say

_PASSWORDS = ("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Where the environment may hold what destinations ask for, besides their URIs."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True})
@click.version_option(package_name="smspartner-connector", prog_name="smspartner")
def smspartner() -> None:
    """Load the delivery statuses of SMS sent through SMS Partner: complete or reported, typed, validated.

    Try it without an API key by `smspartner demo`. The main job is `smspartner run`; each command has a page of its
    own, such as `smspartner run --help`. Most options can also be set by a variable of the environment (--fresh-for by
    SMSPARTNER_FRESH_FOR) and by a key of the --config file (fresh_for).

    \b
    smspartner demo
    smspartner check --to data/
    smspartner run promo-nov relance --to data/
    """  # noqa: D301  # \b is click's mark


for _command in (run, check, tags, report, validate, quarantine, forget, schema, sandbox, demo):
    smspartner.add_command(_command)


def run_command(arguments: list[str]) -> ExitCode:
    """Run a command and give its exit code.

    What goes wrong is one sentence on standard error, never a traceback.
    """
    _learn_secrets(arguments)
    try:
        code = smspartner.main(arguments, prog_name="smspartner", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as exc:  # noqa: BLE001  # panics of extensions are no Exception
        return _ended_by(exc)
    return ExitCode(code) if isinstance(code, int) else ExitCode.OK


def _learn_secrets(arguments: list[str]) -> None:
    """Let no output show a secret that was given: an option may hold one by mistake, and be refused."""
    given = (os.environ.get(name, "") for name in (KEY_VARIABLE, PHONE_KEY_VARIABLE, *_PASSWORDS))
    for secret in (*given, *os.environ.get(RETIRED_KEYS_VARIABLE, "").splitlines()):
        REDACT.add(Secret(secret.strip()))
    learn_key_file(os.environ.get(KEY_FILE_VARIABLE, ""))
    for uri in (*arguments, *os.environ.get(f"{PREFIX}TO", "").split()):
        learn_secrets(uri)


def _ended_by(exc: BaseException) -> ExitCode:
    """Say what went wrong, and give the exit code."""
    if isinstance(exc, SystemExit):  # click's end: of a completion, or where the reader has gone, as `| head` does
        return ExitCode.NOT_DONE if exc.code else ExitCode.OK
    if isinstance(exc, NoArgsIsHelpError):
        click.echo(exc.format_message(), err=True)
        return ExitCode.WRONG_SETTINGS
    if isinstance(exc, (KeyboardInterrupt, click.Abort)):
        say("error: interrupted", style="red")
        return ExitCode.INTERRUPTED
    say(f"error: {_problem(exc)}", style="red")
    if isinstance(exc, (click.ClickException, SettingsError)):
        return ExitCode.WRONG_SETTINGS
    return ExitCode.REFUSED if isinstance(exc, AccessRefused) else ExitCode.NOT_DONE


def _usage_problem(exc: click.ClickException) -> str:
    """Say what is wrong with the command line. No value is repeated: it may be the API key in the wrong place."""
    context = exc.ctx if isinstance(exc, click.UsageError) else None
    see = f"see `{context.command_path if context else 'smspartner'} --help`"
    near = getattr(exc, "possibilities", None)  # also of a command, from click 8.4 on
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    if isinstance(exc, click.NoSuchOption):
        return f"the option {exc.option_name} does not exist{meant}; {see}"
    if isinstance(exc, click.BadOptionUsage):
        return f"the option {exc.option_name} lacks its value, or takes none; {see}"
    parameter = exc.param if isinstance(exc, click.BadParameter) else None
    if parameter is None or context is None:
        in_command = context is not None and not isinstance(context.command, click.Group)
        return f"{'an argument too many' if in_command else f'there is no such command{meant}'}; {see}"
    name = origin(context, parameter)
    if isinstance(exc, click.MissingParameter):
        return f"{name} is missing; {see}"
    kind, expected = parameter.type, f"a value of type {parameter.type.name}"
    if isinstance(kind, click.Choice):
        expected = f"one of {', '.join(map(str, kind.choices))}"
    if isinstance(kind, click.IntRange | click.FloatRange):
        expected = f"a number from {kind.min} to {kind.max}" if kind.max is not None else f"{kind.min} or more"
    return f"{name} has a value that is not valid; give {expected}"


def _problem(exc: BaseException) -> str:
    if isinstance(exc, click.ClickException):
        return _usage_problem(exc)
    if isinstance(exc, SmsPartnerError):
        return str(exc)
    if isinstance(exc, OSError) and exc is getattr(sys.stdout, "failure", None):
        return f"standard output does not take the result ({exc.strerror or 'it is closed'}); check where it leads"
    if isinstance(exc, MemoryError):
        return "there is not enough memory; run with fewer tags at once, or with a smaller --concurrency"
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if isinstance(exc, ImportError):
        name = trace.tb_frame.f_globals.get("__name__", "?").partition(".")[0] if trace else "?"
        what = f"the library {name} can't be used with the versions of other libraries here"
        return f"{what}; install smspartner-connector into an environment of its own"
    where = f" in {Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno}" if trace else ""
    return f"a bug, not your doing: {type(exc).__name__}{where}; please report it"  # its text might hold data
