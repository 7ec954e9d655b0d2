"""The command `smspartner`, and the commands it has. Imports stay light: `--help` must be quick."""

from __future__ import annotations

import click
from smspartner_pipelines.load import learn_secrets

from smspartner_pipelines.commands.check import check
from smspartner_pipelines.commands.compact import compact
from smspartner_pipelines.commands.completion import completion
from smspartner_pipelines.commands.demo import demo
from smspartner_pipelines.commands.forget import forget
from smspartner_pipelines.commands.quarantine import quarantine
from smspartner_pipelines.commands.report import report
from smspartner_pipelines.commands.run import run
from smspartner_pipelines.commands.sandbox import sandbox
from smspartner_pipelines.commands.schema import schema
from smspartner_pipelines.commands.tags import tags
from smspartner_pipelines.commands.validate import validate
from smspartner_pipelines.completion import answer_shell, asked_by_shell
from smspartner_pipelines.endings import exit_code_of
from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.manual import ManualGroup
from smspartner_pipelines.output import redacted_output


def run_command(arguments: list[str]) -> ExitCode:
    """Run a command and give its exit code; nothing that is written meanwhile shows a secret."""
    for argument in arguments:  # before any of it is told
        learn_secrets(argument)
    with redacted_output():
        if asked_by_shell():
            return exit_code_of(lambda: answer_shell(smspartner))
        return exit_code_of(lambda: smspartner.main(arguments, prog_name="smspartner", standalone_mode=False))


@click.group(cls=ManualGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="smspartner-connector", prog_name="smspartner")
def smspartner() -> None:
    """Load the delivery statuses of SMS sent through SMS Partner: complete or reported, typed, validated.

    Try it without an API key by `smspartner demo`. The main job is `smspartner run`; each command has a page of its
    own, such as `smspartner run --help`.

    \b
    smspartner demo
    smspartner check --to data/
    smspartner run promo-nov relance --to data/
    """  # noqa: D301  # \b is click's mark


_COMMANDS = (run, check, tags, report, validate, quarantine, forget, compact, schema, sandbox, demo, completion)

for _command in _COMMANDS:
    smspartner.add_command(_command)
