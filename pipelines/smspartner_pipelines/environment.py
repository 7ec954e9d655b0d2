"""The environment variables that the product reads besides those of options, and the secrets in them."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING

from smspartner.api_key import (
    KEY_COMMAND_VARIABLE,
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    PHONE_KEY_VARIABLE,
    RETIRED_KEYS_VARIABLE,
    learn_key_file,
)
from smspartner.redaction import REDACT, Secret

from smspartner_pipelines.load import learn_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import click
    from smspartner.privacy import PhonePrivacy
    from smspartner_schemas.contract import PhoneForm

PREFIX = "SMSPARTNER_"

_VARIABLES = (KEY_VARIABLE, KEY_COMMAND_VARIABLE, PHONE_KEY_VARIABLE, RETIRED_KEYS_VARIABLE)
_PASSWORDS = ("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Where the environment may hold what destinations ask for, besides their URIs."""


def learn_secrets_of_environment(environ: Mapping[str, str] = os.environ) -> None:
    """Let no output show the environment's secrets: an option may hold one by mistake, and be refused."""
    secrets = [environ.get(name, "") for name in (KEY_VARIABLE, *_PASSWORDS)]
    for secret in [*secrets, *_phone_keys(environ)]:
        REDACT.add(Secret(secret.strip()))
    learn_key_file(environ.get(KEY_FILE_VARIABLE, ""))
    for uri in environ.get(f"{PREFIX}TO", "").split():
        learn_secrets(uri)


def _phone_keys(environ: Mapping[str, str]) -> list[str]:
    """Give the current key, which may be empty, and the retired ones."""
    return [environ.get(PHONE_KEY_VARIABLE, ""), *environ.get(RETIRED_KEYS_VARIABLE, "").splitlines()]


def phone_privacy(form: PhoneForm, environ: Mapping[str, str] = os.environ) -> PhonePrivacy:
    """Give a form of phone numbers, with the keys of the environment.

    Raises:
        SettingsError: `hashed` without a phone key that is long enough.
    """
    from smspartner.privacy import PhonePrivacy

    current, *retired = [Secret(key) if key.strip() else None for key in _phone_keys(environ)]
    return PhonePrivacy(form, current, tuple(filter(None, retired)))


def unknown_variables(program: click.Group, environ: Iterable[str] = os.environ) -> dict[str, str | None]:
    """Name the variables that begin like ours and that nothing reads, each with the one that may have been meant."""
    read = {str(parameter.envvar) for command in program.commands.values() for parameter in command.params}
    known = [name.removeprefix(PREFIX) for name in sorted(read.union(_VARIABLES)) if name.startswith(PREFIX)]
    found = {}
    for name in sorted(name for name in environ if name.startswith(PREFIX)):
        ending = name.removeprefix(PREFIX)
        if ending not in known:
            near = difflib.get_close_matches(ending, known, n=1)
            found[name] = PREFIX + near[0] if near else None
    return found
