"""The environment variables and files that the product heeds, besides the variables that options have."""

from __future__ import annotations

import click
from smspartner.variables import KEY_VARIABLE, PHONE_KEY_VARIABLE, RETIRED_KEYS_VARIABLE

PREFIX = "SMSPARTNER_"

VARIABLES = {
    KEY_VARIABLE: "The API key. There is no option for it: command lines can be seen by others.",
    PHONE_KEY_VARIABLE: "The secret key of hashed phone numbers and of erasures.",
    RETIRED_KEYS_VARIABLE: "Earlier phone keys, one a line.",
    "SMSPARTNER_…": "Any option: --fresh-for is SMSPARTNER_FRESH_FOR.",
    "HTTPS_PROXY, NO_PROXY": "The proxy to the API, and the hosts that are reached without it.",
    "REQUESTS_CA_BUNDLE": "A file of certificates to trust in the place of the usual ones.",
    "PG…, AWS_…": "How databases and object stores are reached, as their own tools have it.",
    "NO_COLOR, COLUMNS": "No colours; the width of tables (80 where there is no terminal).",
}

FILES = {
    "--config FILE": 'TOML: fresh_for = "6h". Command line beats environment beats file.',
    "DEST/.lock": "Held while a run loads there; it locks nothing once its process has ended.",
    "DEST/runs/RUN_ID.json": "The report of each run, in a dataset.",
}


def known_variables(program: click.Command) -> frozenset[str]:
    """Name the variables of ours that are read: those above, and those of all options of all commands."""
    commands = [program, *(program.commands.values() if isinstance(program, click.Group) else ())]
    options = (parameter.envvar for command in commands for parameter in command.params)
    return frozenset(name for name in (*VARIABLES, *options) if isinstance(name, str) and name.startswith(PREFIX))
