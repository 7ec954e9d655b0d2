"""Object stores by fsspec: which file system a URI means, and credentials that never leave the process."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import fsspec
from fsspec.registry import get_filesystem_class

from smspartner.errors import SettingsError
from smspartner_pipelines.load import mask_secrets
from smspartner.redaction import REDACT, Secret

_S3 = {"s3", "s3a"}
_REQUESTS_AT_ONCE = 32

_TELLING = ("botocore", "aiobotocore")
"""Loggers that show whole requests at level debug, with session tokens which nobody knows before."""

_KEPT_IN_FILES = ("env", "shared-credentials-file", "config-file")
"""Where botocore finds credentials without asking anybody."""


def open_file_system(uri: str) -> Any:
    """Return the fsspec file system that `uri` means; nothing is requested yet.

    Raises:
        SettingsError: its package is missing, or the URI names no bucket, or credentials stand in it.
    """
    parts = urlsplit(uri)
    protocol = parts.scheme.lower()
    if "@" in parts.netloc and protocol not in {"abfs", "abfss"}:  # where the container stands before the account
        raise SettingsError(
            f"credentials do not belong into {mask_secrets(uri)}, where others can see them; name the bucket alone, "
            "and give them as that store's own tools take them (environment, profile)"
        )
    if not parts.netloc and protocol != "memory":
        raise SettingsError(f"{uri} names no bucket; write {protocol}://BUCKET/PREFIX")
    if parts.query or parts.fragment:
        raise SettingsError(f"{mask_secrets(uri)} holds a ? or #, which no prefix may; name {protocol}://BUCKET/PREFIX")
    try:
        get_filesystem_class(protocol)
        missing = None
    except (ImportError, ValueError) as error:
        missing = str(error)
    if missing is not None:
        raise SettingsError(f"{protocol}:// needs another package: {missing}")
    if protocol in _S3:
        _keep_credentials_in()
        return _s3()
    return fsspec.filesystem(protocol, use_listings_cache=False, skip_instance_cache=True)


def _s3() -> Any:
    options = {"max_pool_connections": _REQUESTS_AT_ONCE, "read_timeout": 60}
    fs = fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True, config_kwargs=options)
    fs.retries = 2  # botocore tries again by itself, as AWS_MAX_ATTEMPTS says; this is for bodies that break off
    return fs


def _keep_credentials_in() -> None:
    """Let nothing that leaves the process show a key or token: by value where it is known, by silence elsewhere."""
    import botocore.session
    from botocore.exceptions import BotoCoreError

    for name in _TELLING:
        logging.getLogger(name).setLevel(logging.INFO)
    with suppress(BotoCoreError):  # no such profile, an unreadable file: the first request says so
        resolver = botocore.session.get_session().get_component("credential_provider")
        for provider in _KEPT_IN_FILES:
            with suppress(BotoCoreError):
                found = resolver.get_provider(provider).load()
                for secret in (found.secret_key, found.token) if found else ():
                    REDACT.add(Secret(secret or ""))
