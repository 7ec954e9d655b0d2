"""In a notebook or a scheduler: exceptions and log records tell neither key nor number, however they are looked at."""

from __future__ import annotations

import copy
import dataclasses
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
from smspartner import Connection, PhonePrivacy, Secret, iter_snapshots, read_statuses
from smspartner.client import Client
from smspartner.errors import RequestError, SmsPartnerError

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


@pytest.mark.parametrize("kind", [*FAULTS, "no server", "no host"])
def test_exceptions(start_sandbox: Any, campaigns: Any, connect: Any, leaks: Any, key: str, kind: str) -> None:
    """Nothing that is raised shows key or number: not in text, facts, chain, pickle, or the variables of frames."""
    faults = [Fault(kind)] if kind in FAULTS else []
    sandbox = start_sandbox(campaigns, faults=faults, api_key=key, page_size=4)
    connection = connect(sandbox, api_key=Secret(key), retries=0)
    if kind not in FAULTS:
        url = "https://nowhere.invalid/v1" if kind == "no host" else "http://127.0.0.1:9/v1"
        connection = dataclasses.replace(connection, base_url=url)
    raising = [exc for call in (read, walk, ask) if (exc := raised(call, connection)) is not None]
    assert raising
    for exc in raising:
        shown, page = shown_by(exc), rich.console.Console(file=io.StringIO(), width=200)
        trace = rich.traceback.Traceback.from_exception(type(exc), exc, exc.__traceback__, show_locals=True)
        page.print(trace)
        shown["page"] = page.file.getvalue()  # type: ignore[attr-defined]
        assert "locals" in shown["page"]
        assert (leaks.of_keys(shown), leaks.of_numbers(shown)) == ([], [])


def test_a_bug_below_us(start_sandbox: Any, connect: Any, leaks: Any, monkeypatch: Any, key: str) -> None:
    """A bug in the HTTP library, whose text and frames hold the URL, is shown by its class alone."""
    connection = connect(start_sandbox([]), api_key=Secret(key), retries=0)

    def broken(_self: object, _method: str, url: str, **_more: object) -> None:
        raise LookupError(f"no idea how to send {url}")

    monkeypatch.setattr("urllib3.connection.HTTPConnection.request", broken)
    exc = raised(ask, connection)
    assert isinstance(exc, RequestError)
    assert "(LookupError)" in str(exc)
    assert leaks.of_keys(shown_by(exc)) == []


def test_values_that_hold_secrets(leaks: Any, key: str) -> None:
    """Settings print without their secrets, and are not taken apart or sent elsewhere with them."""
    for value in (Connection(Secret(key)), PhonePrivacy("hashed", Secret(f"{key}0123456789"))):
        shown = [str(value), repr(vars(value)), repr(dataclasses.replace(value)), repr(copy.copy(value))]
        assert leaks.of_keys({"shown": "\n".join(shown)}) == []
        for take_apart in (dataclasses.asdict, dataclasses.astuple, pickle.dumps, copy.deepcopy):
            with pytest.raises(TypeError, match=r"^a secret is not written anywhere$"):
                take_apart(value)


def test_logs_of_the_user(start_sandbox: Any, campaigns: Any, connect: Any, leaks: Any, key: str) -> None:
    """Handlers of the user's, on the root and at debug level, get records without the key."""
    log, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(log)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(pathname)s %(message)s %(args)s"))
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for kind in ("echo_redirect", "echo_header", "server_error"):
        sandbox = start_sandbox(campaigns, faults=[Fault(kind)], api_key=key)
        raised(read, connect(sandbox, api_key=Secret(key), retries=1))
    assert "apiKey=***" in log.getvalue()
    assert leaks.of_keys({"log": log.getvalue()}) == []
