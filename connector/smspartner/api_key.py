"""Where the API key comes from: the environment, a file or a command. What is refused is never shown.

The names of all variables that hold secrets stand here: there is no option for a secret, since others can see command
lines.
"""

from __future__ import annotations

import os
import select
import shlex
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress

from smspartner.errors import SettingsError
from smspartner.redaction import REDACT, Secret
from smspartner.small_files import read_small_file

KEY_VARIABLE = "SMSPARTNER_API_KEY"
KEY_FILE_VARIABLE = "SMSPARTNER_API_KEY_FILE"
KEY_COMMAND_VARIABLE = "SMSPARTNER_API_KEY_COMMAND"
PHONE_KEY_VARIABLE = "SMSPARTNER_PHONE_KEY"
RETIRED_KEYS_VARIABLE = "SMSPARTNER_RETIRED_PHONE_KEYS"

NO_KEY_REMEDY = f"set {KEY_VARIABLE}, {KEY_FILE_VARIABLE} to a file, or {KEY_COMMAND_VARIABLE} to a command"
SHORTEST_KEY = 8
"""Characters; the vendor's have about forty, and hiding a short one everywhere would blank ordinary texts."""

_MOST_KB = 64  # of a key file, or of what a command writes; what is longer holds more than a key
_MOST_BYTES = _MOST_KB * 1024


def read_api_key(
    key_file: str | None = None, environ: Mapping[str, str] = os.environ, *, command_seconds: float = 60.0
) -> Secret:
    """Read the key: from `SMSPARTNER_API_KEY`, else from a file, else from the first line of a command's output.

    The file is the one that `SMSPARTNER_API_KEY_FILE` or `key_file` names; the command, `SMSPARTNER_API_KEY_COMMAND`,
    runs without a shell, for `command_seconds` at most.

    Raises:
        SettingsError: there is none, or it can't be read; the message repeats nothing that may be the key.
    """
    value = environ.get(KEY_VARIABLE, "")
    path, command = environ.get(KEY_FILE_VARIABLE) or key_file, environ.get(KEY_COMMAND_VARIABLE)
    if not value and path:
        value = _in_file(path)
    elif not value and command:
        value = _of_command(command, command_seconds)
    key = Secret(value.strip())
    check_api_key(key)
    REDACT.add(key)
    return key


def _in_file(path: str) -> str:
    problem = "is empty"
    try:
        if text := read_small_file(path, _MOST_BYTES).decode("utf-8-sig", "surrogateescape").strip():
            return text
    except (OSError, ValueError) as exc:  # a NUL in its name
        problem = f"can't be read: {getattr(exc, 'strerror', 'no file has such a name')}"
    raise SettingsError(
        f"the API key file named by {KEY_FILE_VARIABLE} or --api-key-file {problem}",
        remedy="name a file that holds the key and nothing else",
    )


def _of_command(command: str, seconds: float) -> str:
    problem = "its first line is empty"
    try:
        output, code = _run(shlex.split(command), seconds)
        line = output.decode("utf-8-sig", "surrogateescape").strip().partition("\n")[0]
        if line and not code:
            return line
        if code:
            problem = f"it ended with exit code {code}"
    except subprocess.TimeoutExpired:
        problem = f"it did not end within {seconds:g} s, or wrote more than {_MOST_KB} KB"
    except (OSError, ValueError, IndexError) as exc:
        problem = f"it can't be run: {getattr(exc, 'strerror', 'it is not a command')}"
    raise SettingsError(
        f"the command in {KEY_COMMAND_VARIABLE} gave no API key: {problem}",
        remedy="run it yourself to see why (is somebody logged in?); its first line must be the key",
    )


def _run(words: list[str], seconds: float) -> tuple[bytes, int]:
    """Give what a command writes, and its exit code; raises TimeoutExpired also where it writes too much."""
    deadline, output = time.monotonic() + seconds, b""
    null = subprocess.DEVNULL
    with subprocess.Popen(words, bufsize=0, stdin=null, stdout=subprocess.PIPE, stderr=null) as process:  # noqa: S603
        try:
            # Not one long read: what the command has started may hold the pipe open beyond its end.
            while (pipe := process.stdout) and select.select([pipe], [], [], max(deadline - time.monotonic(), 0))[0]:
                chunk = pipe.read(_MOST_BYTES)
                output += chunk
                if not chunk:
                    return output, process.wait(max(deadline - time.monotonic(), 0))
                if len(output) > _MOST_BYTES:
                    break
        finally:
            process.kill()
    raise subprocess.TimeoutExpired(words, seconds)


def learn_key_file(path: str) -> None:
    """Let nothing show the key that a file holds, before it is needed: it may stand in a wrong option, too.

    Pipes are left alone, since they can be read once, and so is what can't be the key: `read_api_key` says why.
    """
    if os.path.isfile(path):  # noqa: PTH113  # False for a path that can't be one
        with suppress(SettingsError):
            key = Secret(_in_file(path))
            check_api_key(key)
            REDACT.add(key)


def check_secret(given: object, name: str) -> None:
    """Refuse a secret given as bare text, which the `repr` of its holder would show.

    Raises:
        SettingsError: it is not a `Secret`; it is not shown here either.
    """
    if not isinstance(given, Secret):
        kind = type(given).__name__
        raise SettingsError(f"{name} is given as {kind}", remedy="wrap the text, as in Secret(getpass.getpass())")


def check_api_key(key: Secret) -> None:
    """Refuse a key that no request could carry, or that could not be kept out of what is written.

    Raises:
        SettingsError: it is not a `Secret`, is empty or too short, or holds control characters or undecodable bytes.
    """
    check_secret(key, "api_key")
    value, where = key.reveal(), f"check {KEY_VARIABLE}, its file or its command"
    if not value:
        raise SettingsError("there is no API key", remedy=NO_KEY_REMEDY)
    if not value.isprintable():
        raise SettingsError("the API key holds a line break, a control character or an undecodable byte", remedy=where)
    if len(value) < SHORTEST_KEY:
        raise SettingsError(f"the API key has fewer than {SHORTEST_KEY} characters", remedy=where)
