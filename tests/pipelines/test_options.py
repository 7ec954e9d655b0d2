"""Command line beats environment beats configuration file; nothing that is refused is repeated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from smspartner_pipelines import options
from smspartner_pipelines.cli import run_command, smspartner

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


WRONG = "in the --config file, {} has a value that is not valid; give {}"
NO_SETTING = "configuration file smspartner.toml: there is no setting {!r}; the keys are the options of"
NO_TOML = "configuration file smspartner.toml: "
FILES = {
    "the key itself": (b"api_key = 's3cret'", NO_SETTING.format("api_key")),
    "unknown": (b"retry = 1", NO_SETTING.format("retry")),
    "the file itself": (b"config = 'x'", NO_SETTING.format("config")),
    "a table": (b"[run]\nretries = 1", NO_SETTING.format("run")),
    "the parameter's name": (b"as_json = true", NO_SETTING.format("as_json")),
    "text for a number": (b"retries = 'many'", WRONG.format("--retries", "a value of type integer")),
    "the key for a number": (f"retries = '{KEY}'".encode(), WRONG.format("--retries", "a value of type integer")),
    "true for a number": (b"retries = true", WRONG.format("--retries", "a value of type integer")),
    "a list for a number": (b"retries = [1]", WRONG.format("--retries", "a value of type integer")),
    "a table for text": (b"rate = {a = 1}", "the rate is not a number of requests per s, min or h; give "),
    "text for a flag": (b"verify = 'maybe'", WRONG.format("--verify", "a value of type boolean")),
    "no choice": (b"refresh = 'never'", WRONG.format("--refresh", "one of auto, all, unsettled")),
    "no TOML": (b"retries = ", f"{NO_TOML}it is not TOML; name a TOML file with lines such as concurrency = 8"),
    "the key for TOML": (KEY.encode(), f"{NO_TOML}it is not TOML; name a TOML file"),
    "no UTF-8": (b"\xff", f"{NO_TOML}it is not TOML; name a TOML file"),
    "no file": (None, f"{NO_TOML}No such file or directory; name a TOML file"),
}


@pytest.mark.parametrize(("content", "message"), FILES.values(), ids=FILES.keys())
def test_wrong_files(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
    message: str,
) -> None:
    """A file that is no TOML, or has a key or value no option takes, is refused by name; no value is repeated."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMSPARTNER_API_KEY", "key-of-the-options-tests")
    if content is not None:
        Path("smspartner.toml").write_bytes(content)
    assert run_command(["run", "t", "--to", "data", "--config", "smspartner.toml"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {message}")
    assert ("s3cret" in said, KEY in said, said.count("\n")) == (False, False, 1)


def test_every_option_has_a_variable() -> None:
    """Every option of `run` can be set from the environment, under its long name."""
    for one in smspartner.commands["run"].params:
        if isinstance(one, click.Option):
            assert one.envvar == options.PREFIX + max(one.opts, key=len).removeprefix("--").upper().replace("-", "_")
