"""Command line beats environment beats configuration file; nothing that is refused is repeated."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from smspartner_pipelines import options
from smspartner_pipelines.cli import run_command, smspartner

KEY = "a5f0key-in-the-wrong-place"


def given(*arguments: str, **environment: str) -> dict[str, Any]:
    """What `run` is given."""
    with CliRunner().isolation(env=environment):
        context = smspartner.commands["run"].make_context("run", list(arguments), parent=click.Context(smspartner))
    return {name: context.params[name] for name in DEFAULTS}


DEFAULTS = {
    **dict.fromkeys(("fresh_since", "expectations", "tags_file", "api_key_file", "rate")),
    **dict.fromkeys(("allow_shrink", "keep_shrunk", "verify"), False),
    "to": (),
    "refresh": "auto",
    "fresh_for": "0",
    "validate": "gx",
    "allow_quarantined": 0,
    "phone_numbers": "plain",
    "base_url": "https://api.smspartner.fr/v1",
    "concurrency": 8,
    "timeout": 30.0,
    "retries": 5,
    "backoff": 0.5,
}


def test_precedence(tmp_path: Path) -> None:
    """Each setting comes from the command line, else the environment, else the file, else its documented default."""
    file = tmp_path / "smspartner.toml"
    file.write_text(
        '\ufeffretries = 1\nconcurrency = 1\ntimeout = 1.5\nrate = "1/s"\nto = ["a", "b"]\nverify = true\n'
        "fresh_since = 2026-11-23T18:00:00Z\nfresh_for = 0\n",
        "utf-8",
    )
    environment = {"SMSPARTNER_RETRIES": "2", "SMSPARTNER_CONCURRENCY": "2", "SMSPARTNER_CONFIG": str(file)}
    changed = {"retries": 3, "concurrency": 2, "timeout": 1.5, "rate": "1/s", "to": ("a", "b"), "verify": True}
    changed["fresh_since"] = "2026-11-23 18:00:00+00:00"
    assert given() == DEFAULTS
    assert given("--retries", "3", **environment) == DEFAULTS | changed
    assert given("--config", str(file), "--to", "c")["to"] == ("c",)
    assert given("--retries", "7", "--config", str(file))["retries"] == 7
    file.write_text('to = "data"', "utf-8")  # one destination, not one for each letter
    assert given("--config", str(file))["to"] == ("data",)


WRONG = "configuration file smspartner.toml: {} has a value that is not valid; give {}"
NO_INTEGER = WRONG.format("retries", "a number from 0 to 100")
IN_FILE = "configuration file smspartner.toml: "
NO_SETTING = "configuration file smspartner.toml: there is no setting {!r}; the keys are the options of"
NO_TOML = "configuration file smspartner.toml: it is not TOML; name a TOML file with lines such as concurrency = 8"
FILES = {
    "the key itself": (b"api_key = 's3cret'", NO_SETTING.format("api_key")),
    "unknown": (b"retry = 1", NO_SETTING.format("retry")),
    "the file itself": (b"config = 'x'", NO_SETTING.format("config")),
    "a table": (b"[run]\nretries = 1", NO_SETTING.format("run")),
    "the parameter's name": (b"as_json = true", NO_SETTING.format("as_json")),
    "text for a number": (b"retries = 'many'", NO_INTEGER),
    "the key for a number": (f"retries = '{KEY}'".encode(), NO_INTEGER),
    "true for a number": (b"retries = true", NO_INTEGER),
    "a list for a number": (b"retries = [1]", NO_INTEGER),
    "out of range": (b"timeout = 0", WRONG.format("timeout", "a number from 0.001 to 3600")),
    "no duration": (b"fresh_for = 6", f"{IN_FILE}fresh_for is no duration; give a number and a unit"),
    "no time": (b"fresh_since = 'now'", f"{IN_FILE}fresh_since is no time; give date, time and offset"),
    "a table for text": (b"rate = {a = 1}", f"{IN_FILE}rate is not a number of requests per s, min or h; give "),
    "text for a flag": (b"verify = 'maybe'", WRONG.format("verify", "a value of type boolean")),
    "no choice": (b"refresh = 'never'", WRONG.format("refresh", "one of auto, all, unsettled")),
    "no TOML": (b"retries = ", NO_TOML),
    "the key for TOML": (KEY.encode(), NO_TOML),
    "no UTF-8": (b"\xff", NO_TOML),
    "no file": (None, f"{IN_FILE}No such file or directory; name a TOML file"),
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


@pytest.mark.parametrize("name", ["--config", "--tags-file", "--api-key-file", "--expectations"])
def test_what_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """A file without end, a directory, and a pipe that nobody writes into are refused at once, as settings are."""
    monkeypatch.chdir(tmp_path)
    if name == "--expectations":
        monkeypatch.setenv("SMSPARTNER_API_KEY", "key-of-the-options-tests")
    os.mkfifo(tmp_path / "pipe")
    for path, problem in (
        ("/dev/zero", "it is larger than"),
        (tmp_path, "Is a directory"),
        (tmp_path / "pipe", "it is a pipe that nobody writes into"),
    ):
        assert run_command(["run", "t", "--to", "data", name, str(path)]) == 2
        assert f": {problem}" in capsys.readouterr().err


def test_every_option_has_a_variable() -> None:
    """Every option of `run` can be set from the environment, under its long name."""
    for one in smspartner.commands["run"].params:
        if isinstance(one, click.Option):
            assert one.envvar == options.PREFIX + max(one.opts, key=len).removeprefix("--").upper().replace("-", "_")
