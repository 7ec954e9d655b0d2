"""How a command ends: its exit code, and one sentence for whatever went wrong; never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click
from click.exceptions import NoArgsIsHelpError
from smspartner.errors import AccessRefused, Interrupted, SettingsError, SmsPartnerError
from smspartner.redaction import Redactor

from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.given import secrets_of_the_environment
from smspartner_pipelines.streams import OutputFailed


def exit_code_of(command: Callable[[], object]) -> ExitCode:
    """Run a command and give its exit code; what went wrong is told on standard error."""
    try:
        code = command()
        if sys.stdout is not None:  # it is where standard output is closed
            sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        failed, told = ExitCode.INTERRUPTED, "interrupted"
    except (BrokenPipeError, SystemExit):  # which is what click makes of it
        failed, told = ExitCode.NOT_DONE, "standard output was closed before everything was written"
    except OutputFailed as exc:
        from smspartner_pipelines.load.atomic import destination_error

        failed, told = ExitCode.NOT_DONE, str(destination_error(exc, "writing to standard output"))
    except NoArgsIsHelpError as exc:  # whoever asks for nothing is told what there is
        click.echo(exc.format_message(), err=True)
        return ExitCode.WRONG_SETTINGS
    except click.ClickException as exc:
        failed, told = _exit_code(exc), " ".join(exc.format_message().split())
    except SmsPartnerError as exc:
        failed, told = _exit_code(exc), str(exc)
    except Exception as exc:  # noqa: BLE001  # a bug: its text might hold data, its place does not
        failed, told = ExitCode.NOT_DONE, _bug(exc)
    else:
        return ExitCode(code) if isinstance(code, int) else ExitCode.OK
    click.echo(f"error: {_without_secrets(told)}", err=True)
    return failed


def _without_secrets(told: str) -> str:
    """Hide the environment's secrets: an option may hold one by mistake, and be refused before they are read."""
    return Redactor(*secrets_of_the_environment())(told)


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
