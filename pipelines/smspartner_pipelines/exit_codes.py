"""The exit codes, which schedulers rely on: the one place that states them."""

from __future__ import annotations

from enum import IntEnum


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
    ExitCode.OK: "every tag asked for is complete, unknown or skipped, nothing quarantined",
    ExitCode.NOT_DONE: "the run could not be done (destination failed, disk full, bug)",
    ExitCode.WRONG_SETTINGS: "usage or settings are wrong; nothing was requested",
    ExitCode.TAGS_NOT_COMPLETE: "some tags are incomplete, unstable, shrunk or failed; the others are loaded",
    ExitCode.ROWS_IN_QUARANTINE: (
        "all tags loaded, but rows are in quarantine (more than `--allow-quarantined N`, default 0)"
    ),
    ExitCode.REFUSED: "the API refused the key or the account; nothing was loaded",
    ExitCode.INTERRUPTED: "interrupted",
}
