"""Where the API key comes from: the environment, a file or a command. What is refused is never shown.

The names of all variables that hold secrets stand here: there is no option for a secret, since others can see command
lines.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

from smspartner.errors import SettingsError
from smspartner.redaction import REDACT, Secret

KEY_VARIABLE = "SMSPARTNER_API_KEY"
KEY_FILE_VARIABLE = "SMSPARTNER_API_KEY_FILE"
KEY_COMMAND_VARIABLE = "SMSPARTNER_API_KEY_COMMAND"
PHONE_KEY_VARIABLE = "SMSPARTNER_PHONE_KEY"
RETIRED_KEYS_VARIABLE = "SMSPARTNER_RETIRED_PHONE_KEYS"

NO_KEY_REMEDY = f"set {KEY_VARIABLE}, or {KEY_FILE_VARIABLE} to a file that holds it"
SHORTEST_KEY = 8
"""Characters; the vendor's have about forty, and hiding a short one everywhere would blank ordinary texts."""

_MOST_BYTES = 64 * 1024


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
        value, problem = _read_file(path)
        if problem:
            raise SettingsError(
                f"the API key file named by {KEY_FILE_VARIABLE} or --api-key-file {problem}",
                remedy="name a file that holds the key and nothing else",
            )
    elif not value and command:
        value, problem = _run(command, command_seconds)
        if problem:
            raise SettingsError(
                f"the command in {KEY_COMMAND_VARIABLE} gave no API key: {problem}",
                remedy="give a command that writes the key on its first line, such as `pass show smspartner`",
            )
    key = Secret(value.strip())
    check_api_key(key)
    REDACT.add(key)
    return key


def learn_key_file(path: str) -> None:
    """Let nothing show the key that a file holds, before it is needed: it may stand in a wrong option, too.

    Pipes are left alone, since they can be read once, and so is what can't be the key: `read_api_key` says why.
    """
    if os.path.isfile(path):  # noqa: PTH113  # False for a path that can't be one
        value, _ = _read_file(path)
        if len(value) >= SHORTEST_KEY and value.isprintable():
            REDACT.add(Secret(value))


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


def _read_file(path: str) -> tuple[str, str]:
    """Give the text of a file, or what is wrong with it."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as exc:
        return "", f"can't be read: {exc.strerror}"
    except ValueError:  # a NUL in its name
        return "", "can't be read"
    if len(data) > _MOST_BYTES:
        return "", "is too large"
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return "", "is not UTF-8 text"
    return text, "" if text else "is empty"


def _run(command: str, seconds: float) -> tuple[str, str]:
    """Give the first line of a command's output, or what is wrong with it."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words:
        return "", "it is not a command"
    try:
        output, code = _output_of(words, seconds)
    except (OSError, ValueError) as exc:
        return "", f"it can't be run: {getattr(exc, 'strerror', type(exc).__name__)}"
    if code < 0 and len(output) <= _MOST_BYTES:
        return "", f"it did not end within {seconds:g} s"
    return ("", f"it ended with exit code {code}") if code > 0 else _first_line(output)


def _first_line(output: bytes) -> tuple[str, str]:
    if len(output) > _MOST_BYTES:
        return "", "it wrote too much"
    try:
        line = output.decode("utf-8-sig").strip().partition("\n")[0].strip()
    except UnicodeDecodeError:
        return "", "its output is not UTF-8 text"
    return line, "" if line else "its first line is empty"


def _output_of(words: list[str], seconds: float) -> tuple[bytes, int]:
    """Give output and exit code of a command, which is killed once it takes too long or writes too much."""
    with subprocess.Popen(  # noqa: S603  # the user's own command, run without a shell
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        watch = threading.Timer(seconds, process.kill)
        watch.start()
        output = process.stdout.read(_MOST_BYTES + 1) if process.stdout else b""
        watch.cancel()
        if len(output) > _MOST_BYTES:
            process.kill()
    return output, process.returncode
