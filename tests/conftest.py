"""What all tests share: the sandbox as a real server, a clean environment, and no network beyond loopback."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import hypothesis
import pytest
import trustme
from smspartner import Connection, Secret
from smspartner.redaction import REDACT
from smspartner_pipelines.sandbox import Sandbox

KEY = "sandbox-key"

# The same inputs in every run, however slow the machine; `--hypothesis-profile=search` looks for new ones.
hypothesis.settings.register_profile("same", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("search", deadline=None, max_examples=1000)
hypothesis.settings.load_profile("same")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests reaches them, and no proxy stands between them and loopback."""
    for name in list(os.environ):
        if name.startswith("SMSPARTNER_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def no_secrets_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test uses as a key may be an ordinary word to the next."""
    monkeypatch.setattr(REDACT, "_finders", {})


@pytest.fixture(autouse=True, scope="session")
def only_loopback() -> Iterator[None]:
    """A connection beyond loopback fails the test that makes it."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and address[0] not in {"127.0.0.1", "::1", "localhost"}:
            raise AssertionError(f"a test connects to {address[0]}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


@pytest.fixture
def start_sandbox() -> Iterator[Callable[..., Sandbox]]:
    """Start sandboxes (arguments as `Sandbox` takes them); all stop when the test ends."""
    with ExitStack() as running:
        yield lambda campaigns=None, **options: running.enter_context(Sandbox(campaigns, **options))


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Make a certificate authority that nobody trusts who is not told to."""
    return trustme.CA()


@pytest.fixture(scope="session")
def authority_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the file to name to those who shall trust it."""
    path = tmp_path_factory.mktemp("authority") / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture(scope="session")
def certificate(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Make a certificate of the authority for 127.0.0.1, as `Sandbox` takes it."""
    path = tmp_path_factory.mktemp("certificate") / "certificate.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(path)
    return {"certfile": str(path)}


@pytest.fixture
def connect() -> Callable[..., Connection]:
    """Make a `Connection` to a sandbox that retries at once; further arguments as `Connection` takes them."""

    def make(sandbox: Sandbox, **options: Any) -> Connection:
        settings = {"api_key": Secret(KEY), "base_url": sandbox.url, "backoff": 0.0, "retries": 2, **options}
        return Connection(**settings)

    return make
