"""Command line beats environment beats configuration file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from smspartner.errors import SettingsError
from smspartner_pipelines import options


@click.group()
def program() -> None:
    """A program with the shared options."""


@program.command()
@options.load_options
@options.refresh_options
@options.judging_options
@options.tag_options
@options.phone_options
@options.connection_options
@options.config_options
@options.log_options
def run(**given: Any) -> None:
    """Print what was given."""
    click.echo(json.dumps(given))


def given(*arguments: str, **environment: str) -> dict[str, Any]:
    """What `run` is given."""
    result: Result = CliRunner().invoke(program, ["run", *arguments], env=environment, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    values: dict[str, Any] = json.loads(result.output)
    return values


DEFAULTS = {
    "to": [],
    "refresh": "auto",
    "fresh_for": "0",
    "fresh_since": None,
    "validate": "gx",
    "expectations": None,
    "allow_quarantined": 0,
    "allow_shrink": False,
    "csv_dialect": "rfc4180",
    "tags_file": None,
    "verify": False,
    "phone_numbers": "plain",
    "api_key_file": None,
    "base_url": "https://api.smspartner.fr/v1",
    "concurrency": 8,
    "rate": None,
    "timeout": 30.0,
    "retries": 5,
    "backoff": 0.5,
    "verbose": 0,
    "log_level": None,
    "log_format": "text",
}


def test_defaults() -> None:
    """Without anything, options have the documented defaults."""
    assert given() == DEFAULTS


def test_precedence(tmp_path: Path) -> None:
    """Each setting comes from the command line, else the environment, else the file, else its default."""
    file = tmp_path / "smspartner.toml"
    file.write_text(
        'retries = 1\nconcurrency = 1\ntimeout = 1.5\nrate = "1/s"\nto = ["a", "b"]\nverify = true\n', "utf-8"
    )
    environment = {"SMSPARTNER_RETRIES": "2", "SMSPARTNER_CONCURRENCY": "2", "SMSPARTNER_CONFIG": str(file)}
    changed = {"retries": 3, "concurrency": 2, "timeout": 1.5, "rate": "1/s", "to": ["a", "b"], "verify": True}
    assert given("--retries", "3", **environment) == DEFAULTS | changed
    assert given("--config", str(file), "--to", "c")["to"] == ["c"]
    assert given("--retries", "7", "--config", str(file))["retries"] == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("api_key = 's3cret'", "the API key does not belong into it"),
        ("retry = 1", "there is no setting 'retry'"),
        ("config = 'x'", "there is no setting 'config'"),
        ("retries = 'many'", ", retries: "),
        ("refresh = 'never'", ", refresh: "),
        ("retries = ", "write TOML, such as concurrency = 8"),
        ("[run]\nretries = 1", "there is no setting 'run'"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, message: str) -> None:
    """A file that is no TOML, or has a key or value no option takes, is refused by name, without showing a key."""
    file = tmp_path / "smspartner.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        given("--config", str(file))
    assert f"configuration file {file}" in str(caught.value)
    assert message in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that is missing or no UTF-8 is named with what is wrong."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff")
    for path, trouble in (
        (tmp_path / "missing", "No such file or directory; name a TOML file"),
        (binary, "write TOML"),
    ):
        with pytest.raises(SettingsError, match=trouble):
            given("--config", str(path))


def test_every_option_has_a_variable() -> None:
    """Every option can be set from the environment, under its long name."""
    for parameter in run.params:
        assert parameter.envvar == options.PREFIX + max(parameter.opts, key=len).removeprefix("--").upper().replace(
            "-", "_"
        )


def test_no_option_takes_the_key() -> None:
    """The key can't be given on the command line."""
    assert CliRunner().invoke(program, ["run", "--api-key", "x"]).exit_code == 2
