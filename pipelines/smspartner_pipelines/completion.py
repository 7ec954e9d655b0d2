"""Completion in the shell: click's own scripts and answers, with paths where a value is one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, get_args

import click
from click.shell_completion import CompletionItem, get_completion_class, shell_complete

Shell = Literal["bash", "zsh", "fish"]
SHELLS: tuple[Shell, ...] = get_args(Shell)

_PROGRAM = "smspartner"
_VARIABLE = "_SMSPARTNER_COMPLETE"
_PATHS = {"DEST", "DIR", "FILE"}
"""What parameters that take a path call their value."""

_SCHEMES = ("parquet:", "duckdb:", "delta:", "postgresql://", "s3://")


class _PathText(type(click.STRING)):  # type: ignore[misc]
    """Text that names a place: a path, or a URI."""

    def shell_complete(self, _ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        """Let the shell complete a path; offer what a URI begins with where no file begins so."""
        schemes = [scheme for scheme in _SCHEMES if scheme.startswith(incomplete)]
        if incomplete and schemes and "DEST" in (param.metavar or "") and not _begins_a_path(incomplete):
            return [CompletionItem(scheme) for scheme in schemes]
        return [CompletionItem(incomplete, type="file")]


def _begins_a_path(text: str) -> bool:
    return any(entry.name.startswith(text) for entry in Path().iterdir())


def complete_paths(command: click.Command) -> None:
    """Complete paths for each parameter that takes one, as its metavar says."""
    for parameter in command.params:
        if parameter.type is click.STRING and (parameter.metavar or "").strip("[].").split("|")[0] in _PATHS:
            parameter.type = _PathText()


def completion_script(shell: Shell) -> str:
    """Give the script that makes a shell ask this program; it names the program, wherever that lies."""
    kind = get_completion_class(shell)
    if kind is None:
        raise ValueError(f"click knows no shell {shell}")
    asked = kind(click.Command(_PROGRAM), {}, _PROGRAM, _VARIABLE)
    return asked.source_template % asked.source_vars()


def asked_by_shell() -> bool:
    """Whether it is a shell that started this process, to complete a command line."""
    return bool(os.environ.get(_VARIABLE))


def answer_shell(command: click.Command) -> int:
    """Answer the shell on standard output; give the exit code."""
    return shell_complete(command, {}, _PROGRAM, _VARIABLE, os.environ[_VARIABLE])
