"""In a notebook or a scheduler: exceptions and log records show neither key nor number."""

from __future__ import annotations

import io
import logging
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest
import rich.console
import rich.traceback
from faults import Fault
from smspartner import Connection, Secret, iter_snapshots, read_statuses
from smspartner.client import Client
from smspartner.errors import SmsPartnerError

FAULTS = ("reset", "echo_refusal", "echo_message_anew", "echo_request", "echo_not_json", "echo_total", "echo_redirect")


def raised(call: Callable[[Connection], object], connection: Connection) -> BaseException | None:
    """Give what a call raises; no frame from here on knows the key."""
    try:
        call(connection)
    except SmsPartnerError as exc:
        return exc
    return None


def shown_by(exc: BaseException | None) -> dict[str, str]:
    """Give everything that an exception tells to whoever prints, logs, inspects or debugs it, or sends it elsewhere."""
    if exc is None:
        return {}
    captured = traceback.TracebackException.from_exception(exc, capture_locals=True)
    objects = [value for frame, _ in traceback.walk_tb(exc.__traceback__) for value in frame.f_locals.values()]
    return {
        "text": f"{exc}\n{exc!r}\n{exc.args!r}\n{vars(exc)!r}\n{getattr(exc, '__notes__', '')}",
        "traceback": "".join(captured.format()),
        "inspected": "\n".join(repr(vars(value)) for value in objects if hasattr(value, "__dict__")),
        "pickled": repr(vars(pickle.loads(pickle.dumps(exc)))) + pickle.dumps(exc).decode("latin-1"),  # noqa: S301
        **{f"cause {name}": text for name, text in shown_by(exc.__cause__).items()},
        **{f"context {name}": text for name, text in shown_by(exc.__context__).items()},
    }


def read(connection: Connection) -> None:
    """Read a frame."""
    read_statuses(["promo", "other"], connection)


def walk(connection: Connection) -> None:
    """Read tag by tag, and refuse what is not complete."""
    for snapshot in iter_snapshots(["promo"], connection):
        repr(snapshot)


def ask(connection: Connection) -> None:
    """Ask for one page and for the account."""
    client = Client(connection)
    try:
        client.fetch_page("promo", 1)
        client.fetch_account()
    finally:
        client.close()


def broken(_self: object, _method: str, url: str, **_more: object) -> None:
    """A bug in the HTTP library, whose text and frames hold the URL."""
    raise LookupError(f"no idea how to send {url}")


@pytest.mark.parametrize("kind", [*FAULTS, "no server", "no host", "bug"])
def test_exceptions(
    start_sandbox: Any, campaigns: Any, connect: Any, leaks: Any, key: str, kind: str, monkeypatch: Any, caplog: Any
) -> None:
    """Nothing that is raised or logged shows key or number: not in text, facts, chain, pickle, or frames' variables."""
    caplog.set_level(logging.DEBUG)
    faults = [Fault(kind)] if kind in FAULTS else []
    sandbox = start_sandbox(campaigns, faults=faults, api_key=key, page_size=4)
    urls = {"no host": "https://nowhere.invalid/v1", "no server": "http://127.0.0.1:9/v1"}
    connection = connect(sandbox, api_key=Secret(key), retries=0, base_url=urls.get(kind, sandbox.url))
    if kind == "bug":
        monkeypatch.setattr("urllib3.connection.HTTPConnection.request", broken)
    raising = [exc for call in (read, walk, ask) if (exc := raised(call, connection)) is not None]
    assert raising
    assert (kind == "echo_redirect") <= ("apiKey=***" in caplog.text)
    for exc in raising:
        shown, page = shown_by(exc) | {"log": caplog.text}, io.StringIO()
        trace = rich.traceback.Traceback.from_exception(type(exc), exc, exc.__traceback__, show_locals=True)
        rich.console.Console(file=page, width=200).print(trace)
        shown["page"] = page.getvalue()
        assert "locals" in shown["page"]
        assert (leaks.of_keys(shown), leaks.of_numbers(shown)) == ([], [])
