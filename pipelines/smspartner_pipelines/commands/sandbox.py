"""The command `smspartner sandbox`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from smspartner.errors import SettingsError

from smspartner_pipelines.output import say

if TYPE_CHECKING:
    from smspartner_pipelines.sandbox import Sandbox

KEY = "sandbox-key"


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8025, show_default=True, help="0 takes a free one.")
@click.option("--page-size", type=click.IntRange(1), default=1000, show_default=True, help="Rows of a page.")
@click.option("--latency", type=click.FloatRange(0), default=0.05, show_default=True, metavar="SECONDS")
@click.option("--fault", "faults", multiple=True, metavar="KIND[:tag=T,page=P,times=N]", help="May be repeated.")
@click.option("--list-faults", is_flag=True, help="Say which kinds of fault there are.")
def sandbox(port: int, page_size: int, latency: float, faults: tuple[str, ...], *, list_faults: bool) -> None:
    """Serve a stand-in of the API on this machine.

    It has campaigns, and faults to rehearse a job on.

    \b
    smspartner sandbox --fault rate_limit_seconds:times=3
    smspartner sandbox --fault cut_json:tag=promo-nov,page=2,times=1
    """  # noqa: D301  # \b is click's mark
    from smspartner_pipelines.sandbox import FAULT_KINDS, Sandbox, parse_fault

    if list_faults:
        width = max(map(len, FAULT_KINDS))
        for name, kind in FAULT_KINDS.items():
            say(f"{name:<{width}}  {kind.meaning}", to_stdout=True)
        return
    try:
        parsed = [parse_fault(fault) for fault in faults]
        serving = Sandbox(faults=parsed, page_size=page_size, latency=latency, port=port, api_key=KEY)
    except ValueError as exc:
        raise SettingsError(str(exc), remedy="`smspartner sandbox --list-faults` lists them") from None
    try:
        serving.start()
    except OSError as exc:
        raise SettingsError(
            f"port {port} can't be used ({exc.strerror})", remedy="choose another with --port"
        ) from None
    _serve(serving)


def _serve(serving: Sandbox) -> None:
    """Serve until a signal comes in, which is the way to end it."""
    from smspartner_pipelines.interrupt import stop_on_signals

    try:
        with stop_on_signals() as stop:
            click.echo(
                f"The sandbox serves {serving.url} (Ctrl-C ends it). In another terminal:\n\n"
                f"  export SMSPARTNER_API_KEY={KEY} SMSPARTNER_BASE_URL={serving.url}\n"
                "  smspartner run promo-nov soldes-été relance --to data/\n\n"
                f"All tags: {' '.join(serving.campaigns)}"
            )
            stop.wait()
    finally:
        serving.stop()
