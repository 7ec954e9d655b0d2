"""Whatever goes wrong, neither key nor phone number is written anywhere but where it belongs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from faults import KINDS, WIRE_KINDS, Fault

BOTH = ("letters", "signs")
SLOW = {"slow", "drip", "endless", "huge"}
LOADS = ("run", "promo", "other", "--to", "data", "--to", "all.csv", "--to", "all.parquet", "--json", "-vv")
CASES = [
    (kind, key)
    for place, kind in enumerate(KINDS)
    for key in (BOTH if kind.startswith("echo_") or kind in WIRE_KINDS else BOTH[place % 2 :][:1])
]
"""Every fault; with both keys those that repeat the key, and those of which the HTTP library tells with the URL."""
HOLD_NUMBERS = ("data/statuses/", "data/quarantine/", "all.csv", "all.parquet")
"""Where numbers stand because they were asked for."""


@pytest.fixture
def log_format(key: str) -> str:
    """Text with one key, JSON with the other."""
    return "text" if key.isalnum() else "json"


@pytest.fixture
def assert_clean(leaks: Any, files: Callable[[], dict[str, str]]) -> Callable[..., dict[str, str]]:
    """Assert that neither what a command said nor any file holds what it must not; give all that was looked at."""

    def check(ended: Any) -> dict[str, str]:
        outputs = {"stdout": ended.out, "stderr": ended.err, **files()}
        told = {name: text for name, text in outputs.items() if not name.startswith(HOLD_NUMBERS)}
        assert (leaks.of_keys(outputs), leaks.of_numbers(told)) == ([], [])
        return outputs

    return check


@pytest.mark.parametrize(("kind", "key"), CASES, indirect=["key"])
def test_every_fault(  # noqa: PLR0917
    start_sandbox: Any, campaigns: Any, command: Any, assert_clean: Any, key: str, log_format: str, kind: str
) -> None:
    """For every fault there is, debug logs, output, reports, tables, exports and footers are clean."""
    with_faults = {"faults": [Fault(kind, seconds=0.5 if kind in SLOW else 0)], "api_key": key, "page_size": 4}
    sandbox = start_sandbox(campaigns, **with_faults)
    given = ("--timeout", "0.2") if kind in SLOW else ()
    outputs = assert_clean(command(sandbox.url, key, *LOADS, "--retries", "0", "--log-format", log_format, *given))
    assert kind in {struck for record in sandbox.requests for struck in record.faults}
    assert "urllib3" in outputs["stderr"]
    assert [name for name in outputs if name.startswith("data/runs/")]


@pytest.mark.parametrize("form", ["masked", "hashed"])
@pytest.mark.parametrize("kind", ["bom", "echo_row", "echo_row_anew", "bad_status", "row_text", "number_spaced"])
def test_protected_numbers(  # noqa: PLR0917
    start_sandbox: Any, campaigns: Any, command: Any, leaks: Any, files: Any, key: str, kind: str, form: str
) -> None:
    """Masked or hashed, no number is in any file, doubtful rows included."""
    sandbox = start_sandbox(campaigns, faults=[Fault(kind)], api_key=key, page_size=4)
    ended = command(sandbox.url, key, *LOADS, "--phone-numbers", form)
    outputs = {"stdout": ended.out, "stderr": ended.err, **files()}
    assert (leaks.of_keys(outputs), leaks.of_numbers(outputs)) == ([], [])
    assert ended.code == 4


@pytest.fixture
def refusing_proxy() -> Iterator[str]:
    """A proxy that says no, and repeats the request line, which holds the whole URL."""
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
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    with suppress(OSError):
        listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


@pytest.fixture
def nowhere(
    refusing_proxy: str, start_sandbox: Any, certificate: dict[str, str]
) -> dict[str, tuple[str, dict[str, str]]]:
    """Ways not to arrive: the base URL, and what the environment says."""
    sandbox, secure = start_sandbox([]), start_sandbox([], **certificate)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    return {
        "no such host": ("https://nowhere.invalid/v1", {}),
        "refused": (f"http://127.0.0.1:{port}/v1", {}),
        "untrusted": (secure.url, {}),
        "no TLS": (sandbox.url.replace("http:", "https:"), {}),
        "proxy refuses": (sandbox.url, {"http_proxy": refusing_proxy}),
        "proxy refuses to connect": (secure.url, {"https_proxy": refusing_proxy}),
        "no proxy": (sandbox.url, {"http_proxy": f"http://user:pass@127.0.0.1:{port}"}),
    }


WAYS = ("no such host", "refused", "untrusted", "no TLS", "proxy refuses", "proxy refuses to connect", "no proxy")


@pytest.mark.parametrize("way", WAYS)
def test_no_way_to_the_api(  # noqa: PLR0917
    nowhere: dict[str, Any], command: Any, assert_clean: Any, key: str, log_format: str, way: str
) -> None:
    """Where no connection comes about, or a proxy stands in the way, runs, `check` and `--plan` tell no key."""
    url, changes = nowhere[way]
    ended = command(url, key, *LOADS, "--log-format", log_format, **changes)
    assert_clean(ended)
    assert (ended.code, "failed" in ended.out) == (3, True)
    for arguments in (("check", "-vv"), ("run", "promo", "--plan", "-vv")):
        assert_clean(command(url, key, *arguments, "--log-format", log_format, **changes))


@pytest.mark.parametrize("kind", ["echo_refusal", "echo_message_anew", "echo_redirect", "echo_field", "echo_request"])
def test_checks_and_plans(  # noqa: PLR0917
    start_sandbox: Any, campaigns: Any, command: Any, assert_clean: Any, key: str, log_format: str, kind: str
) -> None:
    """`check` and `--plan` tell no key either, whatever the answer repeats, and the summary is clean on any width."""
    sandbox = start_sandbox(campaigns, faults=[Fault(kind)], api_key=key, page_size=4)
    for arguments in (("check",), ("run", "promo", "--plan"), ("run", "promo", "--to", "data")):
        narrow = {"COLUMNS": "20", "TTY_COMPATIBLE": "1", "FORCE_COLOR": "1", "TERM": "xterm-256color"}
        assert_clean(command(sandbox.url, key, *arguments, "-vv", "--log-format", log_format, **narrow))
