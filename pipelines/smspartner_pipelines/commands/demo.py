"""The command `smspartner demo`."""

from __future__ import annotations

import click
from smspartner_schemas.contract import ExitCode

from smspartner_pipelines.commands.sandbox import KEY

TAGS = ("promo-nov", "soldes-été", "relance", "rdv-rappel", "otp", "empty", "never-sent")


@click.command()
@click.argument("directory", default="smspartner-demo", metavar="[DIR]")
def demo(directory: str) -> ExitCode:
    """Run twice on the sandbox; needs no API key.

    What is loaded into DIR is shown at the end.

    \b
    smspartner demo
    """  # noqa: D301  # \b is click's mark
    from smspartner.connection import Connection
    from smspartner.redaction import Secret

    from smspartner_pipelines.commands.tags import show_tags, tag_states
    from smspartner_pipelines.reading import open_loaded
    from smspartner_pipelines.report import print_summary
    from smspartner_pipelines.run import run
    from smspartner_pipelines.sandbox import Sandbox
    from smspartner_pipelines.settings import RunSettings

    with Sandbox(api_key=KEY) as sandbox:
        connection = Connection(api_key=Secret(KEY), base_url=sandbox.url)
        settings = RunSettings(tags=TAGS, connection=connection, to=(directory,))
        for title in (
            f"First run: {len(TAGS)} tags of the sandbox into {directory}/",
            "\nSecond run: what is settled is only asked for its first page",
        ):
            click.echo(title, err=True)
            outcome = run(settings)
            print_summary(outcome)
            if outcome.exit_code is not ExitCode.OK:
                return outcome.exit_code
    click.echo("\nWhat is loaded:")
    with open_loaded(directory) as opened:
        show_tags(tag_states(opened)[0], directory)
    click.echo(f"\nRead it with pandas: pandas.read_parquet('{directory}/statuses')")
    return outcome.exit_code
