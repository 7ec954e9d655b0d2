"""The command `smspartner sandbox`."""

from __future__ import annotations

import click


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8025, show_default=True, help="0 takes a free one.")
@click.option("--page-size", type=click.IntRange(1), default=1000, show_default=True, help="Rows of a page.")
@click.option("--latency", type=click.FloatRange(0), default=0.05, show_default=True, metavar="SECONDS")
@click.option("--fault", "faults", multiple=True, metavar="KIND[:tag=T,page=P,times=N]", help="May be repeated.")
@click.option("--list-faults", is_flag=True, help="Say which kinds of fault there are.")
def sandbox(port: int, page_size: int, latency: float, faults: tuple[str, ...], *, list_faults: bool) -> None:
    """Serve a local stand-in of the API, with campaigns and faults to rehearse a job on.

    \b
    smspartner sandbox --fault rate_limit_seconds:times=3
    smspartner sandbox --fault cut_json:tag=promo-nov,page=2,times=1
    """  # noqa: D301  # \b is click's mark
    from smspartner_pipelines.rehearsal import describe_faults, serve_sandbox

    if list_faults:
        click.echo(describe_faults())
    else:
        serve_sandbox(port, page_size, latency, faults, click.echo)
