"""Command line beats environment beats configuration file; nothing that is refused is repeated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from smspartner.errors import SettingsError
from smspartner_pipelines import options
from smspartner_pipelines.cli import smspartner
from smspartner_pipelines.environment import PREFIX, unknown_variables

KEY = "a5f0key-in-the-wrong-place"


@click.group()
def program() -> None:
    """A program with the shared options."""


@program.command()
@options.tag_options
@options.load_options
@options.incremental_options
@options.validation_options
@options.connection_options
@options.output_options
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
    "keep_shrunk": False,
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
        '\ufeffretries = 1\nconcurrency = 1\ntimeout = 1.5\nrate = "1/s"\nto = ["a", "b"]\nverify = true\n'
        "fresh_since = 2026-11-23T18:00:00Z\nfresh_for = 0\n",
        "utf-8",
    )
    environment = {"SMSPARTNER_RETRIES": "2", "SMSPARTNER_CONCURRENCY": "2", "SMSPARTNER_CONFIG": str(file)}
    changed = {"retries": 3, "concurrency": 2, "timeout": 1.5, "rate": "1/s", "to": ["a", "b"], "verify": True}
    changed["fresh_since"] = "2026-11-23 18:00:00+00:00"
    assert given("--retries", "3", **environment) == DEFAULTS | changed
    assert given("--config", str(file), "--to", "c")["to"] == ["c"]
    assert given("--retries", "7", "--config", str(file))["retries"] == 7


def test_one_destination_needs_no_list(tmp_path: Path) -> None:
    """In a file, `to = "data"` is one destination, not one for each letter."""
    (tmp_path / "one.toml").write_text('to = "data"', encoding="utf-8")
    assert given("--config", str(tmp_path / "one.toml"))["to"] == ["data"]


WHOLE = "give a whole number"
FILES = {
    "the key itself": (b"api_key = 's3cret'", ": the API key does not belong there; set SMSPARTNER_API_KEY"),
    "unknown": (b"retry = 1", ": there is no setting 'retry'; the keys are the options of `smspartner run --help`"),
    "the file itself": (b"config = 'x'", ": there is no setting 'config'; "),
    "a table": (b"[run]\nretries = 1", ": there is no setting 'run'; "),
    "the parameter's name": (b"as_json = true", ": there is no setting 'as_json'; "),
    "text for a number": (b"retries = 'many'", f", retries: the value is not valid; {WHOLE}"),
    "the key for a number": (f"retries = '{KEY}'".encode(), f", retries: the value is not valid; {WHOLE}"),
    "true for a number": (b"retries = true", f", retries: the value is not valid; {WHOLE}"),
    "a list for a number": (b"retries = [1]", f", retries: the value is not valid; {WHOLE}"),
    "a table for text": (b"rate = {a = 1}", ", rate: the value is not valid; give text"),
    "text for a flag": (b"verify = 'yes'", ", verify: the value is not valid; give true or false"),
    "no choice": (b"refresh = 'never'", ", refresh: the value is not valid; give one of auto, all, unsettled"),
    "no TOML": (b"retries = ", "TOML; write lines such as concurrency = 8"),
    "the key for TOML": (KEY.encode(), "TOML; write lines such as concurrency = 8"),
    "no UTF-8": (b"\xff", "TOML; write lines such as concurrency = 8"),
    "endless": (b"#" * 1_000_001, ": it is larger than 1 MB; name a TOML file"),
}


@pytest.mark.parametrize(("content", "message"), FILES.values(), ids=FILES.keys())
def test_wrong_files(tmp_path: Path, content: bytes, message: str) -> None:
    """A file that is no TOML, or has a key or value no option takes, is refused by name; no value is repeated."""
    file = tmp_path / "smspartner.toml"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        given("--config", str(file))
    assert str(caught.value).startswith(f"configuration file {file}")
    assert message in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert KEY not in str(caught.value)


def test_files_that_cannot_be_read() -> None:
    """A file that is missing, or has no end, is named with what is wrong."""
    for path, problem in (("missing.toml", "No such file or directory"), ("/dev/zero", "it is larger than 1 MB")):
        with pytest.raises(SettingsError, match=f"^configuration file {path}: {problem}; name a TOML file$"):
            given("--config", path)


def test_every_option_has_a_variable() -> None:
    """Every option of `run` can be set from the environment, under its long name."""
    for one in smspartner.commands["run"].params:
        if isinstance(one, click.Option):
            assert one.envvar == PREFIX + max(one.opts, key=len).removeprefix("--").upper().replace("-", "_")


def test_unknown_variables() -> None:
    """Variables of ours that nothing reads are known by name; those that something reads are not among them."""
    environ = ["SMSPARTNER_CONCURENCY", "SMSPARTNER_CONCURRENCY", "SMSPARTNER_API_KEY", "SMSPARTNER_PHONE_KEY", "HOME"]
    environ += ["SMSPARTNER_API_KEY_COMMAND", "SMSPARTNER_API_KEY_FILE", "SMSPARTNER_RETIRED_PHONE_KEYS"]
    assert unknown_variables(smspartner, environ) == {"SMSPARTNER_CONCURENCY": "SMSPARTNER_CONCURRENCY"}
