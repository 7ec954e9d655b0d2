"""The two streams of the command line: whoever writes, in whatever pieces, nothing passes with a key."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from smspartner.redaction import REDACT, Secret
from smspartner_pipelines.output import make_console, redacting

BEGIN = """
import atexit, http.client, logging, os, socket, sys, threading, warnings
import click
from smspartner.redaction import REDACT, Secret
from smspartner_pipelines.output import make_console, redact_output_for_good
from urllib.parse import quote
KEY = os.environ["SMSPARTNER_API_KEY"]
URL = "/v1?apiKey=" + quote(KEY, safe="")
REDACT.add(Secret(KEY))
redact_output_for_good()

class Odd:
    def __init__(self, name):
        self.name = name
    def __del__(self):
        raise ValueError(f"{self.name} {URL}")
"""
WRITERS = """
print("print", KEY, end="|"); print(KEY, sep="")
[sys.stdout.write(letter) for letter in f"pieces {KEY}\\n"]
sys.stderr.writelines(["writelines ", KEY, chr(10)])
thread = threading.Thread(target=lambda: {}["thread " + URL]); thread.start(); thread.join()
Odd("unraisable")
atexit.register(lambda: print("atexit", URL, file=sys.stderr))
warnings.warn("warning " + URL)
logging.getLogger("x").warning("last resort %s", URL)
logging.basicConfig(level=10)
logging.getLogger("x").debug("basicConfig %s", URL, extra={"a": 1})
logging.getLogger("x").debug("wrong format %d", URL)
print("other name", URL, file=sys.__stdout__)
click.echo("click " + URL); click.secho("click in red " + KEY, fg="red", err=True)
make_console(stderr=False).print("rich", URL)
http.client.HTTPConnection.debuglevel = 1
with socket.create_server(("127.0.0.1", 0)) as server:
    connection = http.client.HTTPConnection("127.0.0.1", server.getsockname()[1])
    connection.request("GET", "/http.client" + URL)
    connection.close()
sys.modules["odd"] = Odd("very end")
"""
NAMES = ("print", "pieces", "writelines", "thread", "unraisable", "atexit", "warning", "last resort", "basicConfig")
MORE_NAMES = ("wrong format", "other name", "click", "click in red", "rich", "http.client", "very end")
CRASHES = {
    "traceback": 'raise ValueError("traceback " + URL)',
    "chain": 'try:\n    raise ValueError("chain " + URL)\nexcept ValueError as e:\n    raise LookupError(KEY) from e',
    "exit": 'sys.exit("exit " + KEY)',
}


def run(code: str, key: str, **changes: str) -> str:
    """Run a script in a process of its own; give all that it wrote."""
    environ = {**os.environ, "SMSPARTNER_API_KEY": key, **changes}
    ended = subprocess.run(
        [sys.executable, "-c", BEGIN + code], env=environ, capture_output=True, timeout=60, check=False
    )
    return (ended.stdout + ended.stderr).decode()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_whoever_writes(leaks: Any, key: str, encoding: str) -> None:
    """What threads, warnings, logging, other libraries, debuggers and the interpreter write is redacted to the end."""
    written = run(WRITERS, key, PYTHONIOENCODING=encoding)
    assert [name for name in (*NAMES, *MORE_NAMES) if name not in written] == []
    assert leaks.of_keys({"written": written}) == []
    assert written.count("***") >= len((*NAMES, *MORE_NAMES))


@pytest.mark.parametrize("crash", CRASHES)
def test_crashes(leaks: Any, key: str, crash: str) -> None:
    """A traceback, a chained one, and the last words of a process are redacted."""
    written = run(CRASHES[crash], key)
    assert (crash in written, "***" in written) == (True, True)
    assert leaks.of_keys({"written": written}) == []


def test_the_command_is_behind_it(leaks: Any, start: Any, here: Path, key: str) -> None:
    """The command stands behind the boundary from its first word to its last; nothing else speaks after it."""
    lines = "import atexit, os\natexit.register(lambda: print('late', os.environ['SMSPARTNER_API_KEY']))\n"
    (here / "sitecustomize.py").write_text(lines)
    process = start("http://127.0.0.1:9/v1", key, "check", "-vv", PYTHONPATH=str(here))
    out, err = process.communicate(timeout=60)
    assert ("FAIL  API key" in out, "late" in out) == (True, False)
    assert leaks.of_keys({"out": out, "err": err}) == []


@pytest.mark.parametrize("variable", ["SMSPARTNER_RETRIES", "SMSPARTNER_TO", "SMSPARTNER_BASE_URL", "SMSPARTNER_RATE"])
def test_a_key_in_the_wrong_place(leaks: Any, command: Any, files: Any, key: str, variable: str) -> None:
    """Where an option has the key by mistake, it is refused without repeating it, and nothing is written."""
    to, changes = (f"data/{key}", {}) if variable == "SMSPARTNER_TO" else ("data", {variable: key})
    ended = command("http://127.0.0.1:9/v1", key, "run", "promo", "--to", to, **changes)
    assert (ended.code, files()) == (2, {})
    assert leaks.of_keys({"out": ended.out, "err": ended.err}) == []


@pytest.mark.parametrize("place", ["a tag", "a suite", "a long tag", "a tags file"])
def test_a_key_among_what_is_written(leaks: Any, command: Any, here: Path, key: str, place: str) -> None:
    """A tag or a suite that holds the key is refused: both would be written into tables and reports."""
    key = key[:10].strip().replace(" ", "")
    (here / "suite.json").write_text(f'{{"name": "{key}", "expectations": []}}')
    (here / "tags.txt").write_text(f"promo\n{key}\n")
    arguments = {
        "a tag": (key,),
        "a long tag": (f"{'x' * 35}{key}",),
        "a suite": ("promo", "--expectations", "suite.json", "--validate", "gx"),
        "a tags file": ("--tags-file", "tags.txt"),
    }
    ended = command("http://127.0.0.1:9/v1", key, "run", *arguments[place], "--to", "data")
    assert (ended.code, (here / "data").exists()) == (2, False)
    assert not leaks.holds(key, ended.out + ended.err)
    assert key[:5] not in ended.err


def test_held_back_until_the_line_ends() -> None:
    """A line goes out once it is whole, or flushed; bytes below are passed on as they are."""
    REDACT.add(Secret("k3y-of-this-test"))
    below = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    stream = redacting(below)
    assert (stream.write("k3y-of-"), below.buffer.getvalue()) == (7, b"")  # type: ignore[attr-defined]
    stream.write("this-test\nprompt: ")
    assert below.buffer.getvalue() == b"***\n"  # type: ignore[attr-defined]
    stream.flush()
    stream.buffer.write(b"k3y-of-this-test")
    assert below.buffer.getvalue() == b"***\nprompt: k3y-of-this-test"  # type: ignore[attr-defined]
    assert (redacting(stream), stream.isatty(), stream.encoding) == (stream, False, "utf-8")


@pytest.mark.parametrize("width", [12, 20, 40])
def test_before_wrapping_and_colours(capsys: Any, monkeypatch: Any, leaks: Any, key: str, width: int) -> None:
    """A table on a narrow, colourful terminal hides the key before it breaks it into pieces."""
    from rich.table import Table

    REDACT.add(Secret(key))
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": str(width)}.items():
        monkeypatch.setenv(name, value)
    console, table = make_console(stderr=False), Table("tag", "reason")
    table.add_row("promo", f"the API said: [bold]{key[:5]}[/]? {key}")
    console.print(table)
    console.print(f"[red]{quote(key)}[/]", "and", key)
    shown = "".join(letter for letter in capsys.readouterr().out if letter not in "│ \n┃")
    assert "***" in shown
    assert key.replace(" ", "") not in shown
    assert leaks.of_keys({"shown": shown}) == []
