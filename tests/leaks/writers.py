"""A process of the command, in which everybody writes the key: started by `test_program.py`."""

import atexit
import http.client
import logging
import os
import socket
import sys
import threading
import warnings
from urllib.parse import quote

import click
from rich.console import Console
from smspartner.redaction import REDACT, Secret
from smspartner_pipelines.output import prepare_standard_streams

KEY = os.environ["SMSPARTNER_API_KEY"]
URL = "/v1?apiKey=" + quote(KEY, safe="")
REDACT.add(Secret(KEY))
prepare_standard_streams()


class Odd:
    """Fails as it goes."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __del__(self) -> None:
        raise ValueError(f"{self.name} {URL}")


def write() -> None:
    """Write in every way."""
    print("print", KEY, end="|")  # noqa: T201
    print(KEY)  # noqa: T201
    for letter in f"pieces {KEY}\n":
        sys.stdout.write(letter)
    sys.stderr.writelines(["writelines ", KEY, "\n"])
    thread = threading.Thread(target=lambda: {}["thread " + URL])
    thread.start()
    thread.join()
    Odd("unraisable")
    atexit.register(lambda: print("atexit", URL, file=sys.stderr))  # noqa: T201
    warnings.warn("warning " + URL, stacklevel=1)
    logger = logging.getLogger("x")
    logger.warning("last resort %s", URL)
    logging.basicConfig(level=10)
    logger.debug("basicConfig %s", URL, extra={"a": 1})
    logger.debug("wrong format %d", URL)
    print("other name", URL, file=sys.__stdout__)
    click.secho("click " + KEY, fg="red", err=True)
    Console(file=sys.stdout).print("rich", URL)
    http.client.HTTPConnection.debuglevel = 1
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.getsockname()[1])
        connection.request("GET", "/http.client" + URL)
        connection.close()
    sys.modules["odd"] = Odd("very end")  # type: ignore[assignment]


def crash(how: str) -> None:
    """End in some way."""
    if how == "chain":
        try:
            raise ValueError("chain " + URL)  # noqa: TRY301
        except ValueError as exc:
            raise LookupError(KEY) from exc
    if how == "exit":
        sys.exit("exit " + KEY)


write()
crash(os.environ["CRASH"])
