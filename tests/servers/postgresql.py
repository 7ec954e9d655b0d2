"""A PostgreSQL of its own: started on a free port of loopback, told by one line, gone when standard input closes.

The line is the URI of its superuser, whose password is asked for. An argument (`FOLDER`) keeps its files there, so that
a server that was stopped, which is as rude as a power failure, can be started again.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

USER, PASSWORD = "loader", "pass-word-of-the-tests"
_PARENT_DEATH = 1  # PR_SET_PDEATHSIG


def binaries() -> Path | None:
    """Find the folder of PostgreSQL's programs: where the command leads to, or where Debian puts them."""
    command = shutil.which("postgres")
    folders = [Path(command).resolve().parent] if command else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


def main() -> None:
    """Start the server, say where it is, and stop it at the end of standard input."""
    programs = binaries()
    if programs is None:
        sys.exit("there is no PostgreSQL on this machine")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # what was begun is cleared away, too
    given = sys.argv[1:]
    folder = Path(given[0]) if given else Path(tempfile.mkdtemp(prefix="smspartner-postgresql-"))
    server = None
    try:
        data = folder / "data"
        if not data.exists():
            _initialise(programs, folder, data)
        server, port = _start(programs, data)
        print(f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres", flush=True)  # noqa: T201  # what whoever started it waits for
        sys.stdin.read()
    finally:
        if server is not None:
            server.send_signal(signal.SIGQUIT)
            server.wait()
        if not given:
            shutil.rmtree(folder, ignore_errors=True)


def _unprivileged() -> dict[str, str]:
    """Name the user that runs the server: it refuses to be run by root."""
    if os.name == "nt" or os.geteuid() != 0:
        return {}
    return {"user": "nobody"}


def _initialise(programs: Path, folder: Path, data: Path) -> None:
    folder.mkdir(exist_ok=True)
    password = folder / "password"
    password.write_text(PASSWORD, encoding="utf-8")
    for path in (folder, password):
        if user := _unprivileged().get("user"):
            shutil.chown(path, user)
    command = [
        *(str(programs / "initdb"), "--pgdata", str(data), "--username", USER, "--pwfile", str(password)),
        *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, **_unprivileged())


def _start(programs: Path, data: Path) -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": 40}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with (data.parent / "log").open("ab") as log:
        server = subprocess.Popen(
            [str(programs / "postgres"), "-D", str(data), *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=data.parent,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  # this process has one thread
            **_unprivileged(),
        )
    _await(server, port, data.parent / "log")
    return server, port


def _die_with_parent() -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGQUIT)


def _await(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    while server.poll() is None:
        if (log.parent / "data" / "postmaster.pid").exists():
            lines = (log.parent / "data" / "postmaster.pid").read_text().splitlines()
            if len(lines) > 7 and lines[3] == str(port) and lines[7].strip() == "ready":
                return
        time.sleep(0.02)
    sys.exit(f"PostgreSQL did not start:\n{log.read_text()}")


if __name__ == "__main__":
    main()
