"""The command in a process of its own, as a job of an orchestrator: what it says, as it comes, and how it ended.

The process answers signals, redacts what it says, and gives its memory back; an orchestrator's worker keeps none of it.
This module needs no library: the command may live in another environment (`command`), whose versions do not have to go
together with the orchestrator's.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from threading import Timer
from typing import IO, Any, TypeAlias

from smspartner.errors import SettingsError
from smspartner_pipelines.load import secrets_in
from smspartner.tags import check_tags, read_tags_file

from smspartner_pipelines.job_end import JobEnd

Option: TypeAlias = str | int | float | bool | Sequence[str] | None
Tags: TypeAlias = Sequence[str] | Path | Callable[[], Iterable[str]]
"""A list, a file with one tag a line, or a function that gives tags; the latter two are read when the job begins."""
Say: TypeAlias = Callable[[int, str], object]
"""Told each line of the command, with its level as `logging` numbers them."""

_OURS = ("json", "log_format", "plan", "tags_file", "to")
"""Options of the command that a job sets itself."""
_PATIENCE = 60.0
"""Seconds that a run which was asked to end has for its end in order; killed, it loses no more than its last tags."""


def find_tags(tags: Tags) -> list[str]:
    """Give the tags asked for now, checked, each once.

    Raises:
        TagError: there is none, one is none, or the file can't be read.
        SettingsError: `tags` is a text, which may mean a tag or a file.
    """
    if isinstance(tags, str):
        raise SettingsError(f"tags is the text {tags!r}: give a list of tags, Path({tags!r}) for a file, or a function")
    if isinstance(tags, Path):
        return check_tags(read_tags_file(str(tags)))
    return check_tags(tags() if callable(tags) else tags)


class Job:
    """One run of the command, into the destinations `to` (without any: those of SMSPARTNER_TO where the job runs).

    `options` are those of `smspartner run`, by their long names with `_` for `-`; a flag is True or False. `command` is
    how to start the command; without it, it is that of this environment.

    Raises:
        SettingsError: a secret would be kept by the orchestrator, or an option is one that a job sets itself.
    """

    def __init__(
        self, to: Sequence[str] = (), options: Mapping[str, Option] | None = None, command: Sequence[str] = ()
    ) -> None:
        self._to = [to] if isinstance(to, str) else list(to)
        self._options = dict(options or {})
        start = [command] if isinstance(command, str) else list(command)
        self._command = start or [sys.executable, "-P", "-m", "smspartner_pipelines.process"]
        self._process: subprocess.Popen[str] | None = None
        _check_no_secret(self._to, self._options)

    def run(self, tags: Iterable[str], say: Say, since: datetime | None = None) -> JobEnd:
        """Run the command for these tags, to its end.

        Tags that were read after `since` are not read again, whether they are settled or not: so a job that is tried
        again resumes. An exception that ends the waiting (a timeout, an interrupt) asks the command to end, and goes on
        when it has.

        Raises:
            SettingsError: the command can't be started.
        """
        asked = list(tags)
        options = {"fresh_since": since.isoformat() if since else None, **self._options}
        with TemporaryFile() as by_line, TemporaryFile() as report:
            by_line.write("\n".join(asked).encode())
            by_line.seek(0)
            with self._start([*_arguments(self._to, options), *_as_arguments(asked)], by_line, report) as process:
                errors = self._listen(process, say)
            report.seek(0)
            return JobEnd(process.returncode, _read(report), tuple(errors))

    def stop(self) -> None:
        """Ask a command that runs to end: it drops or finishes the tag in hand. Once: asked twice, it hurries."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()

    def _start(self, arguments: list[str], tags: IO[bytes], report: IO[bytes]) -> subprocess.Popen[str]:
        try:
            process = self._process = subprocess.Popen(  # noqa: S603  # the command, as whoever wrote the job names it
                [*self._command, "run", *arguments],
                stdin=tags,
                stdout=report,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as exc:
            trouble = exc.strerror
        else:
            return process
        raise SettingsError(f"the command {self._command[0]} can't be started: {trouble}")

    def _listen(self, process: subprocess.Popen[str], say: Say) -> list[str]:
        """Pass on what the command says until it ends; give its errors."""
        errors: list[str] = []
        try:
            _relay(process, say, errors)
            process.wait()
        except BaseException:
            self.stop()
            last_resort = Timer(_PATIENCE, process.kill)
            last_resort.start()
            _relay(process, _without_fail(say), errors)
            process.wait()
            last_resort.cancel()
            raise
        return errors


def _check_no_secret(to: Sequence[str], options: Mapping[str, Option]) -> None:
    """Refuse what the orchestrator would keep in its database, and show."""
    if any(any(secrets_in(uri)) for uri in to):
        raise SettingsError(
            "a destination holds a password, which the orchestrator would keep: set SMSPARTNER_TO, or PGPASSWORD, "
            "where the job runs"
        )
    for name in options:
        if name in {"api_key", "phone_key"}:
            raise SettingsError(
                f"{name} would be kept by the orchestrator: set SMSPARTNER_{name.upper()} where the job runs"
            )
        if name in _OURS:
            raise SettingsError(f"the option {name} is one that a job sets itself")


def _arguments(to: Sequence[str], options: Mapping[str, Option]) -> list[str]:
    arguments = ["--json", "--log-format=json"]
    for name, value in {"log_level": "info", **options, "to": to}.items():
        long_name = f"--{name.replace('_', '-')}"
        if value is True:
            arguments.append(long_name)
        elif value is not None and value is not False:
            values = [value] if isinstance(value, str | int | float) else value
            arguments += [f"{long_name}={one}" for one in values]
    return [*arguments, "--tags-file=-"]


def _as_arguments(tags: Iterable[str]) -> list[str]:
    """Give the tags that a file can't say, since a comment begins like them; all others go through a file.

    The list of arguments is limited, and everybody on the machine can see it.
    """
    return ["--", *(tag for tag in tags if tag.startswith("#"))]


def _relay(process: subprocess.Popen[str], say: Say, errors: list[str]) -> None:
    for line in process.stderr or ():
        level, text = _understood(line.rstrip("\n"))
        if level >= logging.ERROR:
            errors.append(text)
        if text:
            say(level, text)


def _without_fail(say: Say) -> Say:
    """Tell each line, whatever becomes of the one before: a process that nobody hears out would not end."""

    def tell(level: int, text: str) -> None:
        with suppress(Exception):
            say(level, text)

    return tell


def _understood(line: str) -> tuple[int, str]:
    """Give level and text of a line: a log record is JSON, the summary and what went wrong is text."""
    if line.startswith("{"):
        with suppress(ValueError, KeyError, TypeError):
            record = json.loads(line)
            text = "\n".join(filter(None, [record["message"], record.get("exception")]))
            return logging.getLevelNamesMapping()[record["level"].upper()], text
    return (logging.ERROR if line.startswith("error: ") else logging.INFO), line


def _read(report: IO[bytes]) -> dict[str, Any] | None:
    try:
        found = json.load(report)
    except ValueError:  # none was written, or not to its end
        return None
    return found if isinstance(found, dict) else None
