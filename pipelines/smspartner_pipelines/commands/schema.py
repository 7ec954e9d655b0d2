"""The command `smspartner schema`."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import click

from smspartner_pipelines import options


@click.command()
@click.option(
    "--format",
    "style",
    type=click.Choice(["table", "json", "sql", "gx", "dbt", "run-report"]),
    default="table",
    show_default=True,
    help="table: Markdown; sql: CREATE TABLE; gx: a Great Expectations suite; dbt: a file of sources; "
    "run-report: a JSON Schema.",
)
@click.option(
    "--dialect",
    type=click.Choice(["duckdb", "postgresql"]),
    default="postgresql",
    show_default=True,
    help="Of the SQL.",
)
@options.phone_numbers_option
def schema(style: str, dialect: Any, phone_numbers: Any) -> None:
    """Print the contract: columns, types, values.

    \b
    smspartner schema --format sql --dialect duckdb
    """  # noqa: D301  # \b is click's mark
    from smspartner_schemas.contract import TABLES
    from smspartner_schemas.describe import as_dbt_sources, as_json, as_table
    from smspartner_schemas.sql import ddl

    if style == "sql":
        click.echo(ddl(dialect))
    elif style == "json":
        click.echo(as_json())
    elif style == "dbt":
        click.echo(as_dbt_sources())
    elif style == "gx":
        from smspartner_schemas.rules import suite

        click.echo(json.dumps(suite(phone_numbers), ensure_ascii=False, indent=2))
    elif style == "run-report":
        click.echo(files("smspartner_schemas").joinpath("run_report.schema.json").read_text(encoding="utf-8"), nl=False)
    else:
        click.echo("\n\n".join(f"## {table.name}\n\n{table.meaning}\n\n{as_table(table)}" for table in TABLES))
