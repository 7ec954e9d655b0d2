"""The command `smspartner check`."""

from __future__ import annotations

from typing import Any

import click

from smspartner_pipelines import options
from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.given import connection_from, phone_privacy, start_logging
from smspartner_pipelines.manual import EXIT_CODES


@click.command(epilog=EXIT_CODES)
@options.option("--to", multiple=True, metavar="DEST", help="A destination to check; may be repeated.")
@options.option(
    "--leaks",
    is_flag=True,
    help="Instead of all else: load from the built-in sandbox, which repeats the key, fails and cuts, and search "
    "all that is written for the key, the phone key and phone numbers. Takes about 10 seconds.",
)
@options.option("--expectations", metavar="FILE", help="With --leaks: your own suite.")
@options.phone_options
@options.connection_options
@options.config_options
@options.log_options
def check(to: tuple[str, ...], *, leaks: bool, **given: Any) -> ExitCode:
    """Check that the API accepts the key and that destinations can be written; changes nothing.

    With --leaks, check that nothing written under your settings tells a secret: one line for each kind of output.

    \b
    smspartner check --to data/
    smspartner check --leaks --config smspartner.toml
    """  # noqa: D301  # \b is click's mark
    start_logging(given)
    if leaks:
        from smspartner_pipelines.leak_check import check_leaks

        return check_leaks(
            connection_from(given), phone_privacy(given["phone_numbers"]), given["expectations"], click.echo
        )
    from smspartner_pipelines.check import check_all

    return check_all(lambda: connection_from(given), to, click.echo)
