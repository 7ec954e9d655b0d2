"""The command `smspartner demo`."""

from __future__ import annotations

import click

from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.output import make_console


@click.command()
@click.argument("directory", default="smspartner-demo", metavar="[DIR]")
def demo(directory: str) -> ExitCode:
    """Run the main job twice on the built-in sandbox, into DIR, and show what was loaded. Needs no API key.

    \b
    smspartner demo
    """  # noqa: D301  # \b is click's mark
    from smspartner_pipelines.rehearsal import run_demo

    return run_demo(directory, make_console(stderr=False))
