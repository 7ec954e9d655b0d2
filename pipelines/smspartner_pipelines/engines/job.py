"""The command in a process of its own, as a job of an orchestrator: its log as it comes, and how it ended.

The process answers signals, redacts what it says, and gives its memory back; an orchestrator's worker keeps none of it.
This module needs no library: the command may live in another environment (`command`), whose versions do not have to go
together with the orchestrator's.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, TypeAlias

from smspartner.api_key import KEY_VARIABLE
from smspartner.connection import BASE_URL_VARIABLE, Connection, connection_from_environment
from smspartner.errors import SettingsError, raise_alone
from smspartner.tags import check_tags, read_tags_file
from smspartner_schemas.contract import ACCEPTED, EXIT_MEANINGS, TRY_AGAIN, ExitCode

from smspartner_pipelines.load import secrets_in

Option: TypeAlias = str | int | float | bool | Sequence[str] | None
Tags: TypeAlias = Sequence[str] | Path | Callable[[], Iterable[str]]
"""A list, a file with one tag a line, or a function that gives tags; the latter two are read when the job begins."""
Say: TypeAlias = Callable[[int, str], object]
"""Gets each line of the command, with its level as `logging` numbers them."""

_OURS = frozenset({"json", "log_format", "plan", "tags", "tags_file", "to"})
"""Options of the command that a job sets itself."""

_SECRET = {"api_key": ", or give conn_id in Airflow, resource_key in Dagster", "phone_key": ""}
"""Settings that an orchestrator would show, with where else they may come from."""

_KILL_AFTER = 60.0
"""Seconds that a run has to end in order once it was asked to; killed, it loses its last tags and nothing else."""

_LISTED, _NAMED = 100, 5
"""Tags that a summary lists, and a sentence names; the run report, kept with what was loaded, has all."""


def find_tags(tags: Tags) -> list[str]:
    """Give the tags asked for now, checked, each once.

    Raises:
        TagError: there is none, one is none, the file can't be read, or `tags` is a text.
    """
    if isinstance(tags, Path):
        return check_tags(read_tags_file(str(tags)))
    return check_tags(tags() if callable(tags) else tags)


def connect(key: str, base_url: str | None) -> Connection:
    """Connect with a key that an orchestrator gives; without a base URL, to that of the environment or the vendor's.

    Raises:
        SettingsError: key or base URL can't be used.
    """
    given = {KEY_VARIABLE: key, BASE_URL_VARIABLE: base_url or os.environ.get(BASE_URL_VARIABLE, "")}
    return connection_from_environment(given)


@dataclass(frozen=True)
class JobEnd:
    """How a job ended; nothing of it holds a secret or a phone number.

    `exit_code` is negative if a signal killed the process. `report` is the run report, None if there is none. `error`
    is the last line in which the command said what went wrong.
    """

    exit_code: int
    report: dict[str, Any] | None
    error: str = ""

    @property
    def try_again(self) -> bool:
        """Whether the same job, tried again, may end better; what it has loaded stays."""
        return self.exit_code in TRY_AGAIN or self.exit_code not in set(ExitCode)

    @property
    def not_complete(self) -> list[dict[str, Any]]:
        """Tag, verdict and reason of the tags that are neither complete, unknown nor skipped."""
        rows = self.report["tags"] if self.report else ()
        facts = ("tag", "verdict", "reason")
        return [{name: row[name] for name in facts} for row in rows if row["verdict"] not in ACCEPTED]

    @property
    def meaning(self) -> str:
        """Say why it ended so, with the first of the tags that are not complete."""
        if self.report is None:
            known = self.exit_code in set(ExitCode)
            ended = EXIT_MEANINGS[ExitCode(self.exit_code)] if known else "killed, or the command is not `smspartner`"
            return "; ".join(filter(None, [ended, self.error]))
        said = [self.report["failure"] or self.report["meaning"]]
        said += [f"{one['uri']}: {one['failure']}" for one in self.report["destinations"] if one["failure"]]
        if missing := [f"{row['tag']} ({row['verdict']})" for row in self.not_complete]:
            said += [", ".join(missing[:_NAMED]) + (f" and {len(missing) - _NAMED} more" if missing[_NAMED:] else "")]
        if self.report["not_reached"]:
            said += [f"{len(self.report['not_reached'])} tags were not reached"]
        return "; ".join(said)

    @property
    def sentence(self) -> str:
        """Say how it ended, and why."""
        return f"exit code {self.exit_code}: {self.meaning}"

    def summary(self) -> dict[str, Any]:
        """Give what an orchestrator may keep: counts and verdicts, names of tags, and neither numbers nor keys."""
        ended: dict[str, Any] = {"exit_code": self.exit_code, "meaning": self.meaning, "run_id": None}
        if self.report is None:
            return ended
        return {
            **ended,
            **{name: self.report[name] for name in ("run_id", "seconds")},
            **self.report["totals"],
            **{name: sum(row[name] for row in self.report["tags"]) for name in ("delivered", "waiting")},
            "not_complete": self.not_complete[:_LISTED],
            "tags_not_complete": len(self.not_complete),
            "tags_not_reached": len(self.report["not_reached"]),
            "destinations": [one["uri"] for one in self.report["destinations"]],
        }


class Job:
    """One run of the command, into the destinations `to` (without any: those of SMSPARTNER_TO where the job runs).

    `options` are those of `smspartner run`, by their long names with `_` for `-`; a flag is True or False. `command` is
    how to start the command; without it, it is that of this environment.

    Raises:
        SettingsError: a secret would be kept by the orchestrator, or an option is unknown or not for a job to set.
    """

    def __init__(
        self, to: Sequence[str] = (), options: Mapping[str, Option] | None = None, command: Sequence[str] = ()
    ) -> None:
        self._to, self._options = [to] if isinstance(to, str) else list(to), dict(options or {})
        start = [command] if isinstance(command, str) else list(command)
        self._command = start or [sys.executable, "-P", "-m", "smspartner_pipelines.process"]
        self._process: subprocess.Popen[bytes] | None = None
        if any(any(secrets_in(uri)) for uri in self._to):
            what = "a destination holds a password, which the orchestrator would keep"
            raise SettingsError(what, remedy="set SMSPARTNER_TO, or PGPASSWORD, where the job runs")
        for name in _SECRET.keys() & self._options.keys():
            what = f"the orchestrator would keep {name}"
            raise SettingsError(what, remedy=f"set SMSPARTNER_{name.upper()} where the job runs{_SECRET[name]}")
        for name in _OURS & self._options.keys():
            raise SettingsError(f"a job sets the option {name} itself", remedy="leave it out")
        if not start:  # another environment's command may be of another version
            from smspartner_pipelines.commands.run import run

            known = {name.removeprefix("--").replace("-", "_") for one in run.params for name in one.opts}
            for name in self._options.keys() - known:
                raise SettingsError(f"the option {name} does not exist", remedy="see `smspartner run --help`")

    def run(
        self, tags: Iterable[str], say: Say, since: datetime | None = None, connection: Connection | None = None
    ) -> JobEnd:
        """Run the command for these tags, to its end.

        Key and base URL of `connection` are handed over in the environment; without one, that of this process has them.
        Tags that were read after `since` are not read again, whether they are settled or not: so a job that is tried
        again resumes. An exception that ends the waiting (a timeout, an interrupt) asks the command to end, and goes on
        when it has.

        Raises:
            SettingsError: the command can't be started.
        """
        asked = list(tags)
        again = {"fresh_since": since.isoformat()} if since else {}
        options = {"log_level": "info", **again, **self._options, "to": self._to}
        # A file can't hold tags that begin like a comment; the list of arguments is limited, and everybody can see it.
        arguments = [*_arguments(options), "--", *(tag for tag in asked if tag.startswith("#"))]
        with TemporaryFile() as by_line, TemporaryFile() as written:
            by_line.write("\n".join(asked).encode())
            by_line.seek(0)
            with self._start(arguments, by_line, written, _environment(connection)) as process:
                try:
                    error = _relay(process.stderr or (), say)
                    process.wait()
                except BaseException:
                    self.stop()
                    with suppress(Exception):  # a process that nobody listens to would not end
                        _relay(process.communicate(timeout=_KILL_AFTER)[1].splitlines(), say)
                    process.kill()
                    raise
            written.seek(0)
            report = None
            with suppress(ValueError):  # none was written, or not to its end
                report = json.load(written)
        return JobEnd(process.returncode, report, error)

    def stop(self) -> None:
        """Ask a command that runs to end: it drops or finishes the tag in hand. Once: asked twice, it hurries."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()

    def _start(
        self, arguments: list[str], tags: IO[bytes], report: IO[bytes], env: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        command = [*self._command, "run", *arguments]
        try:
            self._process = subprocess.Popen(  # noqa: S603
                command, stdin=tags, stdout=report, stderr=subprocess.PIPE, env=env
            )
        except OSError as exc:
            what = f"the command {command[0]} can't be started: {exc.strerror}"
            raise_alone(SettingsError(what, remedy="name it by its path"))
        return self._process


def _environment(connection: Connection | None) -> dict[str, str]:
    if connection is None:
        return dict(os.environ)
    return {**os.environ, KEY_VARIABLE: connection.api_key.reveal(), BASE_URL_VARIABLE: connection.base_url}


def _arguments(options: Mapping[str, Option]) -> Iterator[str]:
    yield from ("--json", "--log-format=json", "--tags-file=-")
    for name, value in options.items():
        long_name = f"--{name.replace('_', '-')}"
        if value is True:
            yield long_name
        elif value is not None and value is not False:
            yield from (f"{long_name}={one}" for one in ([value] if isinstance(value, str | int | float) else value))


def _relay(lines: Iterable[bytes], say: Say) -> str:
    """Pass on the lines of the command, and give its last error: a log record is JSON, the rest is text."""
    error = ""
    for line in lines:
        text = line.decode(errors="replace").rstrip("\n")
        level = logging.ERROR if text.startswith("error: ") else logging.INFO
        with suppress(ValueError, KeyError, TypeError):
            record = json.loads(text)
            text = "\n".join(filter(None, [record["message"], record.get("exception")]))
            level = logging.getLevelNamesMapping()[record["level"].upper()]
        error = text if level >= logging.ERROR else error
        if text:
            say(level, text)
    return error
