"""The process of the command, its streams (closed, full, broken, of any encoding; never with a secret), and its log."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from smspartner.redaction import REDACT, Secret
from smspartner_pipelines.output import RedactingStream, start_logging

COMMAND = str(Path(sys.executable).with_name("smspartner"))
KEY = "key-of-the-output-tests"
SPLIT_KEY = "key+of/the logs"


def run(redirection: str, *arguments: str, **changes: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a shell that redirects its streams."""
    shell = ["sh", "-c", f'exec "$0" "$@" {redirection}', COMMAND, *arguments]
    return subprocess.run(shell, check=False, capture_output=True, timeout=60, env={**os.environ, **changes})


@pytest.mark.parametrize("redirection", ["", "2>/dev/full", "2>&-", "<&- 2>&-"])
def test_exit_code_survives_the_streams(redirection: str) -> None:
    """Whichever streams are closed or full that hold no result, the exit code says how the command ended."""
    assert (run(redirection, "schema").returncode, run(redirection, "no-such").returncode) == (0, 2)


@pytest.mark.parametrize(
    ("redirection", "why"), [(">/dev/full", b"No space left on device"), (">&-", b"it is closed")], ids=str
)
def test_an_output_that_takes_nothing(redirection: str, why: bytes, start_sandbox: Any, tmp_path: Path) -> None:
    """A result that standard output does not take, text or JSON, ends with 1 and a line that names it."""
    given = {"SMSPARTNER_BASE_URL": start_sandbox([]).url, "SMSPARTNER_API_KEY": "sandbox-key"}
    load = ("run", "t", "--to", str(tmp_path / "data"), "--quiet")
    said = b"error: standard output does not take the result (%b); check where it leads\n" % why
    for arguments in (("schema",), ("--help",), (*load, "--json")):
        ended = run(redirection, *arguments, **given)
        assert (ended.returncode, ended.stderr) == (1, said)
    assert run(redirection, *load, **given).returncode == 0


def test_closed_input() -> None:
    """Where standard input is closed, tags from it are refused as settings are, before any request."""
    ended = run("<&-", "run", "--tags-file", "-", "--to", "data", SMSPARTNER_API_KEY=KEY)
    assert (ended.returncode, ended.stderr.count(b"\n"), b"bug" in ended.stderr) == (2, 1, False)


@pytest.mark.parametrize(
    "environment",
    [
        *({"PYTHONIOENCODING": one} for one in ("latin-1", "cp1252", "ascii", "utf-16", "koi8-r", "cp932:strict")),
        *({"LC_ALL": one, "LANG": one} for one in ("C", "fr_FR.ISO-8859-1", "no-such-locale")),
    ],
)
def test_any_encoding(environment: dict[str, str]) -> None:
    """What an encoding lacks is written escaped; no command fails of it, nor of the locale."""
    for arguments in (("run", "--help"), ("schema", "--format", "json")):
        ended = run("", *arguments, **environment)
        assert (ended.returncode, ended.stderr) == (0, b""), arguments
    ended = run("", "tags", "étés-👍-\udcff", **environment)  # undecodable bytes are an argument like any other
    assert (ended.returncode, ended.stderr.count(b"bug")) == (2, 0)


RUN = ("run", "t", "--to", "d")
OTHER_KEY = {"SMSPARTNER_API_KEY": "another-key"}
KEY_FILE = {"SMSPARTNER_API_KEY_FILE": "key"}
MISPLACED = {
    "as a file": ((*RUN, "--api-key-file", KEY), {}),
    "as the file of the environment": (RUN, {"SMSPARTNER_API_KEY_FILE": KEY}),
    "as a command": (RUN, {"SMSPARTNER_API_KEY_COMMAND": KEY}),
    "as a number": ((*RUN, "--retries", KEY), {}),
    "as a number of the environment": (RUN, {"SMSPARTNER_RETRIES": KEY}),
    "as a choice": ((*RUN, "--refresh", KEY), {}),
    "as a rate": ((*RUN, "--rate", KEY), OTHER_KEY),
    "as a duration": ((*RUN, "--fresh-for", KEY), OTHER_KEY),
    "as a time": ((*RUN, "--fresh-since", KEY), OTHER_KEY),
    "as a base URL": ((*RUN, "--base-url", KEY), OTHER_KEY),
    "as an option": ((*RUN, f"--api-key={KEY}"), {}),
    "as the value of a flag": ((*RUN, f"--verify={KEY}"), {}),
    "as an argument": (("check", KEY), {}),
    "as a command of ours": ((KEY,), {}),
    "as a tag": (("run", KEY, "--to", "d"), {"SMSPARTNER_API_KEY": KEY}),
    "as a destination": (("run", "t", "--to", KEY), {"SMSPARTNER_API_KEY": KEY}),
    "of a file, as a file": ((*RUN, "--tags-file", KEY), KEY_FILE),
    "of a file, as an option": (("run", f"--{KEY}"), KEY_FILE),
    "of a file, as a destination": (("tags", KEY), KEY_FILE),
    "of a file, as a tag": (("run", KEY, "--to", "d", "--api-key-file", "key"), {}),
    "as a phone number": (("forget", KEY, "--to", "d"), {"SMSPARTNER_PHONE_KEY": "a phone key of 26 letters!"}),
}


@pytest.mark.parametrize(("arguments", "changes"), MISPLACED.values(), ids=MISPLACED.keys())
def test_a_key_in_the_wrong_place(
    arguments: tuple[str, ...], changes: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key put where another setting belongs is refused, and not repeated: it would stand in a log for ever."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key").write_text(f"{KEY}\n")
    ended = run("", *arguments, **changes)
    assert (ended.returncode, ended.stdout, ended.stderr.count(b"\n")) == (2, b"", 1)
    assert KEY.encode() not in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_bug_is_told_by_class_and_place(tmp_path: Path) -> None:
    """What nobody foresaw ends with its class and place only: its text might hold a key or a number."""
    script = tmp_path / "bug.py"
    script.write_text(
        "import sys\n"
        "from smspartner_pipelines import cli\n"
        "@cli.smspartner.command()\n"
        "def bug():\n"
        "    raise OSError(5, '+33612345678')\n"
        "sys.exit(cli.run_command(['bug']))\n",
        encoding="utf-8",
    )
    ended = subprocess.run([sys.executable, script], check=False, capture_output=True, text=True, timeout=60)
    said = "error: a bug, not your doing: OSError in bug.py, line 5; please report it\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", said)


def test_libraries_that_do_not_go_together_are_named(tmp_path: Path) -> None:
    """A library that refuses the version of another one is named, with what to do: it is not a bug."""
    (tmp_path / "pyarrow").mkdir()
    refusal = "raise ImportError('pyarrow requires NumPy 2.0 or newer, found 1.26.4')\n"  # its own words
    (tmp_path / "pyarrow" / "__init__.py").write_text(refusal, encoding="utf-8")
    ended = run("", "tags", "data", PYTHONPATH=str(tmp_path))
    said = b"error: the library pyarrow can't be used with the versions of other libraries here; install "
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert ended.stderr == said + b"smspartner-connector into an environment of its own\n"


TALK = f"""
import sys, warnings
from smspartner_pipelines import output
from smspartner.redaction import REDACT, Secret
for key in ({KEY!r}, {SPLIT_KEY!r}):
    REDACT.add(Secret(key))
output.prepare_standard_streams()
sys.stderr.write({KEY[:7]!r}); sys.stderr.write({KEY[7:]!r} + "\\n")
sys.stderr.write({KEY!r}); sys.stderr.flush()
warnings.warn({KEY!r})
output.say("x" * 66 + " " + {SPLIT_KEY!r})
from rich.console import Console
Console(stderr=True).print("x" * 70 + {KEY!r}[:9]); print({KEY.upper()!r})
raise ValueError({KEY!r})
"""


@pytest.mark.parametrize(("open_stderr", "encoding"), [(os.pipe, "utf-8"), (os.openpty, "utf-8"), (os.pipe, "ascii")])
def test_redaction_comes_before_layout(open_stderr: Callable[[], tuple[int, int]], encoding: str) -> None:
    """A key is hidden also where it is written in pieces, by a library, or would be broken over two lines."""
    reading, stderr = open_stderr()
    environment = {**os.environ, "COLUMNS": "80", "PYTHONIOENCODING": encoding}
    talk = [sys.executable, "-c", TALK]
    ended = subprocess.run(talk, check=False, stdout=subprocess.PIPE, stderr=stderr, timeout=60, env=environment)
    said = (os.read(reading, 65_536) + ended.stdout).lower()
    for descriptor in (reading, stderr):
        os.close(descriptor)
    assert (KEY.encode() in said, b"key+of" in said, said.count(b"***") >= 5) == (False, False, True)
    assert b"valueerror: ***" in said


@pytest.mark.parametrize("style", ["json", "text"])
def test_logs(style: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Records and warnings go to stderr, redacted down to the traceback: as lines, or one JSON object a line."""
    monkeypatch.setattr(sys, "stderr", RedactingStream(sys.stderr))
    REDACT.add(Secret(SPLIT_KEY))
    start_logging(1, None, style)
    logger = logging.getLogger("some.logger")
    logger.debug("not shown")
    logger.info("%s é\nsecond line", "promo")
    try:
        raise ValueError(f"apiKey={SPLIT_KEY}")  # noqa: TRY301
    except ValueError:
        logger.exception("failed for %s", "key%2Bof%2Fthe%20logs")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn(f"something about {SPLIT_KEY}", stacklevel=1)
    out, err = capsys.readouterr()
    assert (out, SPLIT_KEY in err, "something about ***" in err) == ("", False, True)
    if style == "text":
        assert " INFO    some.logger: promo é\nsecond line\n" in err
        assert " ERROR   some.logger: failed for ***\nTraceback " in err
        assert "\nValueError: apiKey=***\n" in err
        return
    first, second, _ = map(json.loads, err.splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {"level": "info", "logger": "some.logger", "message": "promo é\nsecond line"}
    assert (second["level"], second["message"]) == ("error", "failed for ***")
    assert second["exception"].endswith("ValueError: apiKey=***")
