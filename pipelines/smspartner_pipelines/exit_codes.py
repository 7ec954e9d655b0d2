"""The exit codes, which schedulers rely on: the one place that states them."""

from __future__ import annotations

from enum import IntEnum

from smspartner.errors import AccessRefused, Interrupted, SettingsError


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    NOT_DONE = 1
    WRONG_SETTINGS = 2
    TAGS_NOT_COMPLETE = 3
    ROWS_IN_QUARANTINE = 4
    REFUSED = 5
    INTERRUPTED = 130


MEANINGS = {
    ExitCode.OK: "every tag asked for is complete, unknown or skipped, nothing of them in quarantine",
    ExitCode.NOT_DONE: "the run could not be done (destination failed, disk full, bug)",
    ExitCode.WRONG_SETTINGS: "usage or settings are wrong; nothing was requested",
    ExitCode.TAGS_NOT_COMPLETE: "some tags are incomplete, unstable, shrunk or failed; the others are loaded",
    ExitCode.ROWS_IN_QUARANTINE: "no such tag, but rows are in quarantine (more than --allow-quarantined N, default 0)",
    ExitCode.REFUSED: ("the API refused the key or the account; tags that were read completely before that are loaded"),
    ExitCode.INTERRUPTED: "interrupted; what was loaded stays loaded",
}


def exit_code_for(error: BaseException) -> ExitCode:
    """Give the code for what ended a command."""
    if isinstance(error, SettingsError):
        return ExitCode.WRONG_SETTINGS
    if isinstance(error, AccessRefused):
        return ExitCode.REFUSED
    return ExitCode.INTERRUPTED if isinstance(error, (Interrupted, KeyboardInterrupt)) else ExitCode.NOT_DONE
