"""Where the API key comes from: the environment, a file or a command; what is refused is never shown.

The names of the variables stand here, too: there is no option for a secret, since command lines can be seen by others.
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

SHORTEST_KEY = 8
"""Characters; the vendor's have about forty, and a shorter one could not be redacted without blanking every text."""

_LONGEST_FILE = 64 * 1024
_COMMAND_SECONDS = 60.0


def read_api_key(key_file: str | None = None, environ: Mapping[str, str] = os.environ) -> Secret:
    """Read the key: from `SMSPARTNER_API_KEY`, else from a file, else from the first line of a command's output.

    The file is the one that `SMSPARTNER_API_KEY_FILE` or `key_file` names; the command, `SMSPARTNER_API_KEY_COMMAND`,
    runs without a shell.

    Raises:
        SettingsError: there is none, or it can't be read; the message repeats nothing that may be the key.
    """
    value = environ.get(KEY_VARIABLE, "")
    path, command = environ.get(KEY_FILE_VARIABLE) or key_file, environ.get(KEY_COMMAND_VARIABLE)
    if not value and path:
        value = _read_file(path)
    elif not value and command:
        value = _run_command(command)
    key = Secret(value.strip())
    check_api_key(key)
    REDACT.add(key)
    return key


def check_secret(given: object, name: str) -> None:
    """Refuse a secret given as bare text, which the `repr` of whatever holds it would show.

    Raises:
        SettingsError: it is no `Secret`; neither is it shown here.
    """
    if not isinstance(given, Secret):
        raise SettingsError(
            f"{name} is given as {type(given).__name__}", remedy="wrap the text, as in Secret(getpass.getpass())"
        )


def check_api_key(key: Secret) -> None:
    """Refuse a key that no request could carry, or that could not be kept out of what is written.

    Raises:
        SettingsError: it is no `Secret`, is empty or too short, or holds control characters or undecodable bytes.
    """
    check_secret(key, "api_key")
    value, where = key.reveal(), f"check {KEY_VARIABLE}, its file or its command"
    if not value:
        raise SettingsError("there is no API key", remedy=NO_KEY_REMEDY)
    if not value.isprintable():
        raise SettingsError("the API key holds a line break, a control character or an undecodable byte", remedy=where)
    if len(value) < SHORTEST_KEY:
        raise SettingsError(f"the API key has fewer than {SHORTEST_KEY} characters", remedy=where)


NO_KEY_REMEDY = f"set {KEY_VARIABLE}, or {KEY_FILE_VARIABLE} to a file that holds it"


def _read_file(path: str) -> str:
    remedy = "name a file that holds the key and nothing else"
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LONGEST_FILE + 1)
        problem = "is empty"
        if len(data) > _LONGEST_FILE:
            problem, data = "is too large", b""
        text = data.decode("utf-8-sig").strip()
    except (OSError, ValueError) as exc:
        problem = (exc.strerror or "can't be read") if isinstance(exc, OSError) else "is not UTF-8 text"
        text = ""
    if not text:
        # Not even its name: who puts the key itself into this setting must not see it repeated.
        raise SettingsError(
            f"the API key file named by {KEY_FILE_VARIABLE} or --api-key-file: {problem}", remedy=remedy
        )
    return text


def _run_command(command: str, seconds: float = _COMMAND_SECONDS) -> str:
    problem, line = "its first line is empty", ""
    try:
        code, output = _output_of(shlex.split(command), seconds)
        if code:
            problem = f"it ended with {code}" if code > 0 else f"it did not end within {seconds:g} s"
        else:
            line = output.decode("utf-8-sig").strip().partition("\n")[0].strip()
    except OSError as exc:
        problem = exc.strerror or "it can't be run"
    except (ValueError, IndexError):
        problem = "it can't be read as a command, or its output is not UTF-8 text"
    if line:
        return line
    raise SettingsError(
        f"the command in {KEY_COMMAND_VARIABLE} gave no API key: {problem}",
        remedy="give a command that writes the key on its first line, such as `pass show smspartner`",
    )


def _output_of(words: list[str], seconds: float) -> tuple[int, bytes]:
    """Give exit code and output of a command, which is killed once it takes too long or writes too much."""
    with subprocess.Popen(  # noqa: S603  # the user's own command, run without a shell
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        watch = threading.Timer(seconds, process.kill)
        watch.start()
        try:
            output = process.stdout.read(_LONGEST_FILE) if process.stdout else b""
            if len(output) == _LONGEST_FILE:
                process.kill()
        finally:
            watch.cancel()
    return process.returncode, output
