"""The command `smspartner schema`."""

from __future__ import annotations

from typing import Any

import click

from smspartner_pipelines import options


@click.command()
@click.option(
    "--format",
    "style",
    type=click.Choice(["table", "json", "sql", "gx"]),
    default="table",
    show_default=True,
    help="table: Markdown; sql: CREATE TABLE; gx: a Great Expectations suite.",
)
@click.option(
    "--dialect",
    type=click.Choice(["duckdb", "postgresql"]),
    default="postgresql",
    show_default=True,
    help="Of the SQL.",
)
@options.phone_options
def schema(style: str, dialect: Any, phone_numbers: Any) -> None:
    """Print the contract: columns, types, allowed values.

    \b
    smspartner schema --format sql --dialect duckdb
    """  # noqa: D301  # \b is click's mark
    from smspartner_pipelines.printing import contract_as

    click.echo(contract_as(style, dialect, phone_numbers))
