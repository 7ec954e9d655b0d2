"""`--help` as a page of the manual: examples first, options by what they are about, environment and files last.

Takes in every command that is added to the group. Lines of a docstring that begin with `smspartner` are its examples.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

import click

from smspartner_pipelines.completion import complete_paths
from smspartner_pipelines.environment import FILES, VARIABLES
from smspartner_pipelines.exit_codes import MEANINGS, ExitCode

_ANY_OTHER = "Options"
_VERBATIM = "\b"
"""Click's mark at the head of a paragraph whose lines stay as they are."""


class SectionOption(click.Option):
    """An option with the heading it stands under."""

    def __init__(self, *args: Any, section: str = _ANY_OTHER, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.section = section


class PageCommand(click.Command):
    """A command whose page tells what its exit codes mean."""

    def __init__(self, *args: Any, exit_codes: Mapping[ExitCode, str], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.exit_codes = exit_codes


class PageContext(click.Context):
    """A context whose help is a page."""

    def get_help(self) -> str:
        """Give the page of the command."""
        formatter = self.make_formatter()
        _write_page(self.command, self, formatter)
        return formatter.getvalue().rstrip("\n")


class ManualGroup(click.Group):
    """A group whose commands have pages, and complete paths in the shell."""

    context_class = PageContext
    exit_codes = MEANINGS

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command."""
        cmd.context_class = PageContext
        complete_paths(cmd)
        super().add_command(cmd, name)


def _write_page(command: click.Command, context: click.Context, formatter: click.HelpFormatter) -> None:
    command.format_usage(context, formatter)
    text, examples = _text_and_examples(command)
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(text)
    if examples:
        with formatter.section("Examples" if len(examples) > 1 else "Example"):
            formatter.write_text("\n".join([_VERBATIM, *examples]))
    if isinstance(command, click.Group):
        _write_definitions(formatter, "Commands", _commands(command, context))
    for section, options in _options_by_section(command, context).items():
        _write_definitions(formatter, section, options)
    if isinstance(command, click.Group):
        _write_definitions(formatter, "Environment", list(VARIABLES.items()))
        _write_definitions(formatter, "Files", list(FILES.items()))
    if isinstance(command, PageCommand | ManualGroup):
        codes = [(f"{int(code):>3}", meaning.replace("`", "")) for code, meaning in command.exit_codes.items()]
        _write_definitions(formatter, "Exit codes", codes)
    if context.parent is not None:
        formatter.write_paragraph()
        formatter.write_text("Environment variables and files: smspartner --help")


def _write_definitions(formatter: click.HelpFormatter, heading: str, rows: list[tuple[str, str]]) -> None:
    if rows:
        with formatter.section(heading):
            formatter.write_dl(rows, col_max=24)


def _text_and_examples(command: click.Command) -> tuple[str, list[str]]:
    texts, examples = [], []
    for paragraph in inspect.cleandoc(command.help or "").partition("\f")[0].split("\n\n"):
        lines = paragraph.removeprefix(f"{_VERBATIM}\n").splitlines()
        if lines and all(line.startswith("smspartner ") for line in lines):
            examples += lines
        else:
            texts.append(paragraph)
    return "\n\n".join(texts), examples


def _commands(group: click.Group, context: click.Context) -> list[tuple[str, str]]:
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return [(name, _in_short(command)) for name, command in found.items() if command and not command.hidden]


def _in_short(command: click.Command) -> str:
    """Give what a command does, up to the first stop of its description: never cut, folded instead."""
    first = " ".join(_text_and_examples(command)[0].split("\n\n")[0].split())
    return command.short_help or re.split(r"[.:;](?: |$)", first, maxsplit=1)[0] + "."


def _options_by_section(command: click.Command, context: click.Context) -> dict[str, list[tuple[str, str]]]:
    """Give the lines of the options under their headings, in the order in which these come first.

    `--help`, which is everywhere, stands with the last.
    """
    sections: dict[str, list[tuple[str, str]]] = {}
    last = _ANY_OTHER
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None or not isinstance(parameter, click.Option):
            continue
        if "--help" not in parameter.opts:
            last = getattr(parameter, "section", _ANY_OTHER)
        sections.setdefault(last, []).append(record)
    return sections
