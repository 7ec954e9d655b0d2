"""What all tests share: the sandbox as a real server, a clean environment, and no network beyond loopback."""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import hypothesis
import pyarrow as pa
import pytest
import requests
import trustme
from faults import HostileServer
from smspartner import Connection, Secret
from smspartner.redaction import REDACT

KEY = "sandbox-key"

# The same inputs in every run, however slow the machine; `--hypothesis-profile=search` looks for new ones.
hypothesis.settings.register_profile("same", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("search", deadline=None, max_examples=1000)
hypothesis.settings.load_profile("same")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests reaches them, and no proxy stands between them and loopback."""
    for name in list(os.environ):
        if name.startswith(("SMSPARTNER_", "AWS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def no_secrets_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test uses as a key may be an ordinary word to the next."""
    monkeypatch.setattr(REDACT, "_known", {})


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Whatever a test does to logging ends with it."""
    root, factory = logging.getLogger(), logging.getLogRecordFactory()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(capture=False)
    logging.setLogRecordFactory(factory)
    root.handlers[:] = handlers
    root.setLevel(level)


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


class WarehousePlace:
    """A database or lake to load into, of one test alone, and a reader of it who knows nothing of this product."""

    def __init__(self, kind: str, uri: str) -> None:
        self.kind = kind
        self.uri = uri

    def sql(self, statement: str) -> list[dict[str, Any]]:
        """Run a statement, and give its rows."""
        if self.kind == "duckdb":
            import duckdb

            with duckdb.connect(self.uri.removeprefix("duckdb:")) as connection:
                found = connection.sql(statement)
                return found.to_arrow_table().to_pylist() if found else []
        if self.kind == "delta":
            from deltalake import DeltaTable, QueryBuilder

            lake = QueryBuilder()
            for folder in Path(self.uri.removeprefix("delta:")).glob("*/_delta_log"):
                lake.register(folder.parent.name, DeltaTable(folder.parent))
            return pa.table(lake.execute(statement).read_all()).to_pylist()
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(self.uri, autocommit=True) as connection, connection.cursor() as cursor:
            return cursor.execute(statement).fetch_arrow_table().to_pylist()


@pytest.fixture(scope="session")
def start_postgresql() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start servers, which say their URI in one line (`servers/postgresql.py`); all stop with the tests."""
    script = Path(__file__).parent / "servers" / "postgresql.py"
    pipe = subprocess.PIPE
    with ExitStack() as running:

        def start(*arguments: str) -> subprocess.Popen[str]:
            command = [sys.executable, str(script), *arguments]
            return running.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))

        yield start


@pytest.fixture(scope="session")
def postgresql_server(start_postgresql: Callable[..., subprocess.Popen[str]]) -> str:
    """Give the URI of a PostgreSQL server's superuser, to whom a database `postgres` belongs."""
    if not shutil.which("postgres") and not list(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        pytest.skip("there is no PostgreSQL on this machine")
    server = start_postgresql()
    assert server.stdout is not None
    return server.stdout.readline().strip()


@pytest.fixture
def postgresql(postgresql_server: str) -> WarehousePlace:
    """Make a schema of its own for a test."""
    schema = f"Test {secrets.token_hex(4)}"
    WarehousePlace("postgresql", postgresql_server).sql(f'CREATE SCHEMA "{schema}"')
    path = quote('"' + schema.replace(" ", "\\ ") + '"')
    return WarehousePlace("postgresql", f"{postgresql_server}?options=-csearch_path%3D{path}")


@pytest.fixture(params=["duckdb", "postgresql", "delta"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> WarehousePlace:
    """Give an empty database of each kind, and an empty lake."""
    if request.param == "duckdb":
        return WarehousePlace("duckdb", f"duckdb:{tmp_path / 'statuses.duckdb'}")
    if request.param == "delta":
        return WarehousePlace("delta", f"delta:{tmp_path / 'lake'}")
    return request.getfixturevalue("postgresql")


class SmallDisk:
    """A file system of 2 MiB at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def mount(self, options: str = "size=2m") -> bool:
        """Mount it, or change how it is mounted; return whether that is allowed here."""
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.path)]
        return bool(shutil.which("mount")) and subprocess.run(command, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Mount a small file system that is gone after the test."""
    small = SmallDisk(tmp_path / "disk")
    small.path.mkdir()
    if not small.mount():
        pytest.skip("needs the right to mount file systems")
    yield small
    subprocess.run(["umount", "--lazy", str(small.path)], check=True)


@pytest.fixture
def start_sandbox() -> Iterator[Callable[..., HostileServer]]:
    """Start sandboxes (arguments as `HostileServer` takes them); all stop when the test ends."""
    with ExitStack() as running:
        yield lambda campaigns=None, **options: running.enter_context(HostileServer(campaigns, **options))


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
    """Make a certificate of the authority for 127.0.0.1, as `HostileServer` takes it."""
    path = tmp_path_factory.mktemp("certificate") / "certificate.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(path)
    return {"certfile": str(path)}


@pytest.fixture
def connect() -> Callable[..., Connection]:
    """Make a `Connection` to a sandbox that retries at once; further arguments as `Connection` takes them."""

    def make(sandbox: HostileServer, **options: Any) -> Connection:
        settings = {"api_key": Secret(KEY), "base_url": sandbox.url, "backoff": 0.0, "retries": 2, **options}
        return Connection(**settings)

    return make


class Bucket:
    """A bucket of an object store on loopback, seen from the store's side."""

    def __init__(self, endpoint: str, name: str) -> None:
        import boto3

        self.endpoint = endpoint
        self.name = name
        self.uri = f"s3://{name}"
        self.faults()
        self.client = boto3.client("s3", endpoint_url=endpoint)
        self.client.create_bucket(Bucket=name)
        self.faults()

    def objects(self, prefix: str = "") -> list[str]:
        """List the keys of all objects, in order."""
        return [one["Key"] for one in self.client.list_objects_v2(Bucket=self.name, Prefix=prefix).get("Contents", [])]

    def read(self, key: str) -> bytes:
        """Read an object."""
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def put(self, key: str, content: bytes) -> None:
        """Put an object."""
        self.client.put_object(Bucket=self.name, Key=key, Body=content)

    def faults(self, *faults: dict[str, Any]) -> None:
        """Order the store's faults from here on, in the place of earlier ones, and forget the requests so far."""
        requests.put(f"{self.endpoint}/!faults", data=json.dumps(faults), timeout=10).raise_for_status()

    def requests(self) -> list[tuple[str, str]]:
        """List method and key of every request since then."""
        found = requests.get(f"{self.endpoint}/!requests", timeout=10).json()
        return [(method, path.removeprefix(f"/{self.name}").lstrip("/")) for method, path in found]


@pytest.fixture(scope="session")
def object_store() -> Iterator[str]:
    """Start an object store; give its endpoint."""
    command = [sys.executable, str(Path(__file__).parent / "servers" / "object_store.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield server.stdout.readline().strip()
        server.stdin.close()


_BUCKETS = count(1)


@pytest.fixture
def bucket(object_store: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """Make an empty bucket, and set the environment to reach it; requests are tried once, unless a test says more."""
    for name, value in {
        "AWS_ENDPOINT_URL": object_store,
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLEOFTESTS",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/of+the/tests",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    made = Bucket(object_store, f"tests-{next(_BUCKETS)}")
    yield made
    made.client.close()
