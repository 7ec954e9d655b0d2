"""Whatever goes wrong in the command, neither key nor phone number is written anywhere but where it belongs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from faults import Fault

LOADS = ("run", "promo", "other", "--to", "data", "--to", "all.csv", "--json", "-vv", "--retries", "1")
HOLD_NUMBERS = ("data/statuses/", "data/quarantine/", "all.csv")
"""Where numbers stand because they were asked for."""

FAULTS = ("echo_refusal", "echo_message_anew", "echo_redirect", "echo_header", "echo_retry_after", "echo_html")
FAULTS += ("echo_envelope", "echo_row_anew", "echo_request", "row_text")
WRITERS = Path(__file__).with_name("writers.py")


@pytest.fixture
def assert_clean(leaks: Any, files: Callable[[], dict[str, str]]) -> Callable[..., dict[str, str]]:
    """Assert that neither what a command said nor any file holds what it must not; give all that was looked at."""

    def check(out: str, err: str) -> dict[str, str]:
        outputs = {"stdout": out, "stderr": err, **files()}
        shown = {name: text for name, text in outputs.items() if not name.startswith(HOLD_NUMBERS)}
        assert (leaks.of_keys(outputs), leaks.of_numbers(shown)) == ([], [])
        return outputs

    return check


@pytest.mark.parametrize("kind", FAULTS)
def test_faults(start_sandbox: Any, campaigns: Any, command: Any, assert_clean: Any, key: str, kind: str) -> None:
    """Whatever the API repeats or fails at, debug logs, output, reports, tables and footers are clean."""
    sandbox = start_sandbox(campaigns, faults=[Fault(kind)], api_key=key, page_size=4)
    log_format = "text" if FAULTS.index(kind) % 2 else "json"
    ended = command(sandbox.url, key, *LOADS, "--log-format", log_format)
    outputs = assert_clean(ended.out, ended.err)
    assert kind in {struck for record in sandbox.requests for struck in record.faults}
    assert "urllib3" in outputs["stderr"]
    assert [name for name in outputs if name.startswith("data/runs/")]


@pytest.fixture
def refusing_proxy() -> Iterator[str]:
    """A proxy that says no, and repeats the request line."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection:
                    line = connection.recv(65536).partition(b"\r\n")[0]
                    head = b"HTTP/1.1 407 %b\r\nX-Request: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
                    connection.sendall(head % (line, line, len(line), line))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://user:pr0xy-pass@127.0.0.1:{listening.getsockname()[1]}"
    with suppress(OSError):
        listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


def test_checks_and_plans(
    refusing_proxy: str, start_sandbox: Any, campaigns: Any, certificate: Any, command: Any, assert_clean: Any, key: str
) -> None:
    """Where the API repeats the key, or no way leads to it, runs, `check` and `--plan` are clean on any terminal."""
    narrow = {"COLUMNS": "20", "TTY_COMPATIBLE": "1", "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    echoing = [
        start_sandbox(campaigns, faults=[Fault(kind)], api_key=key, page_size=4).url
        for kind in ("echo_refusal", "echo_message_anew")
    ]
    for url, changes in (
        *((url, narrow) for url in echoing),
        ("http://127.0.0.1:9/v1", {}),
        (start_sandbox([], **certificate).url, {}),
        ("https://nowhere.invalid/v1", {"https_proxy": refusing_proxy}),
    ):
        for arguments in (LOADS, ("check", "-vv"), ("run", "promo", "--plan", "-vv")):
            ended = command(url, key, *arguments, **changes)
            assert "pr0xy-pass" not in str(assert_clean(ended.out, ended.err))
            assert url in echoing or ended.code == 3


@pytest.mark.parametrize("crash", ["chain", "exit"])
def test_whoever_writes(leaks: Any, key: str, crash: str) -> None:
    """What threads, warnings, logging, libraries, debuggers, tracebacks and the interpreter write is redacted."""
    environment = {**os.environ, "SMSPARTNER_API_KEY": key, "CRASH": crash}
    ended = subprocess.run(
        [sys.executable, str(WRITERS)], env=environment, capture_output=True, timeout=60, check=False
    )
    written = (ended.stdout + ended.stderr).decode()
    names = ("print", "pieces", "writelines", "thread", "unraisable", "atexit", "warning", "last resort", "basicConfig")
    more = ("wrong format", "other name", "click", "rich", "http.client", "very end")
    assert [name for name in (*names, *more, crash) if name not in written] == []
    assert leaks.of_keys({"written": written}) == []
    assert written.count("***") >= len((*names, *more))


SHORT = "k3y+/=&%s"
PLACES = {
    "a tag": (SHORT, "--to", "data"),
    "a long tag": (f"{'x' * 35}{SHORT}", "--to", "data"),
    "a suite": ("promo", "--expectations", "suite.json", "--validate", "gx", "--to", "data"),
    "a tags file": ("--tags-file", "tags.txt", "--to", "data"),
    "a destination": ("promo", "--to", f"data/{SHORT}"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_key_in_the_wrong_place(leaks: Any, command: Any, here: Path, place: str) -> None:
    """A key of signs in a tag, a suite or a destination is refused, and no part of it repeated (see test_output)."""
    (here / "suite.json").write_text(f'{{"name": "{SHORT}", "expectations": []}}')
    (here / "tags.txt").write_text(f"promo\n{SHORT}\n")
    ended = command("http://127.0.0.1:9/v1", SHORT, "run", *PLACES[place])
    assert (ended.code, (here / "data").exists()) == (2, False)
    assert leaks.of_keys({"out": ended.out, "err": ended.err}, SHORT) == []
    assert SHORT[:5] not in ended.err


def test_the_reader_finds_what_is_there(leaks: Any, files: Any, here: Path, key: str) -> None:
    """The reader that all tests here rely on finds a key and a number, however written, also in Parquet's metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    half = "".join(f"%{ord(letter):02x}" if place % 2 else letter for place, letter in enumerate(key))
    entities = "".join(f"&#{ord(letter)};" for letter in key)
    for written in (key, quote(quote(key, safe=""), safe=""), half, entities, f"ab{key.encode().hex()}".upper()):
        assert leaks.of_keys({"log": f'DEBUG x: "GET /v1?a={written}&b" 200', "other": "GET"}) == ["log"]
    others = "2026-11-24T08:15:16.399800+00:00 1,639,981 0.1639980001 16.39980001"
    for number in ("+33639980001", "06 39 98 00 01", "+33 (6).39-98.00.99", "%2B33639980001", "639980098"):
        found = leaks.of_numbers({"log": f"at {number}!", "other": others})
        assert {one.partition(":")[0] for one in found} == {"log"}
    table = pa.table({"x": ["a", "b"]})
    pq.write_table(pa.table({"x": [key]}), here / "value.parquet", compression="zstd")
    pq.write_table(table.replace_schema_metadata({"seen": quote(key)}), here / "metadata.parquet")
    pq.write_table(table, here / "clean.parquet")
    assert set(leaks.of_keys(files())) == {"metadata.parquet", "value.parquet"}
