"""Object stores by obstore: which store a URI means, its credentials, and what its failures mean.

Credentials and what the library says of a failure (kilobytes, with the request) never leave the process.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import from_url
from smspartner.errors import DestinationError, SettingsError, raise_alone
from smspartner.redaction import REDACT, Secret

from smspartner_pipelines.load.uris import OBJECT_STORES, mask_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_KEY")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_CREDENTIALS = (
    *("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
    *("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_METADATA_ENDPOINT", "AWS_SKIP_SIGNATURE"),
)
"""Variables by which obstore finds credentials; without any it would ask the metadata service of a cloud machine."""


_CODE = re.compile(r"<Code>(\w+)</Code>")
_DENIED = ("access is denied", "allow these credentials to list, read, write and delete there")
_NO_BUCKET = ("there is no such bucket", "create it, or correct its name")
_REGION = ("the bucket is in another region", "name its region in AWS_REGION")
_EXPIRED = ("the session token is not valid any more", "renew the credentials")
_SETTINGS_BY_CODE: dict[str, tuple[str, str]] = {
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "NoSuchBucket": _NO_BUCKET,
    "InvalidBucketName": _NO_BUCKET,
    "InvalidAccessKeyId": ("the access key is not known there", "correct AWS_ACCESS_KEY_ID, or the profile"),
    "SignatureDoesNotMatch": (
        "the secret key does not fit the access key",
        "correct AWS_SECRET_ACCESS_KEY, or the profile",
    ),
    "ExpiredToken": _EXPIRED,
    "InvalidToken": _EXPIRED,
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "RequestTimeTooSkewed": ("the clock of this machine is wrong", "set it"),
}
_BUSY = ("another run writes there", "wait until it has ended")
_BY_CLASS: tuple[tuple[type[Exception], tuple[str, str]], ...] = (
    *((PermissionDeniedError, _DENIED), (UnauthenticatedError, _DENIED), (FileNotFoundError, _NO_BUCKET)),
    *((AlreadyExistsError, _BUSY), (PreconditionError, _BUSY)),
)
_FAILING = ("the store can't be reached, or is out of order", "check network, credentials, endpoint and region")


@contextmanager
def store_errors(doing: str, *, starting: bool = False) -> Iterator[None]:
    """Say in our words what the store refuses in the block; `doing` names the act and the place.

    S3 gives a code with most refusals; the class of obstore's exception says less. FileNotFoundError means that there
    is no such bucket: where it may mean an object, it is caught within the block.

    Raises:
        DestinationError: it refused. With `starting`, when nothing was loaded yet: SettingsError for rights and names.
    """
    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        code = _CODE.search(str(error))
        by_class = (words for kind, words in _BY_CLASS if isinstance(error, kind))
        cause, remedy = _SETTINGS_BY_CODE.get(code[1] if code else "") or next(by_class, _FAILING)
        kind = DestinationError if not starting or (cause, remedy) in {_BUSY, _FAILING} else SettingsError
        raise_alone(kind(f"{doing} failed: {cause}{f' ({code[1]})' if code else ''}", remedy=remedy))


def open_store(uri: str) -> Any:
    """Return the obstore store that `uri` names; nothing is requested yet.

    Raises:
        SettingsError: the URI names no bucket, credentials stand in it, or none are given where they are expected.
    """
    parts = urlsplit(uri)
    scheme = parts.scheme.lower()
    is_login = "@" in parts.netloc and scheme not in {"abfs", "abfss"}  # where the container stands before the account
    if is_login or not parts.netloc or parts.query or parts.fragment:
        raise SettingsError(
            f"{mask_secrets(uri)} names something else than a bucket and a prefix",
            remedy=f"write {scheme}://BUCKET/PREFIX, and give credentials in the environment or a profile",
        )
    for name in _SECRETS:
        REDACT.add(Secret(os.environ.get(name, "")))
    known = OBJECT_STORES[scheme]
    options = _s3_options() if known == "s3" else {}
    client: Any = {"timeout": "60s", "connect_timeout": "5s", "allow_http": options.pop("allow_http", False)}
    retries: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}
    plain = f"{known}://{parts.netloc}{parts.path.replace('%', '%25')}"
    try:
        return from_url(plain if "@" not in uri else uri, client_options=client, retry_config=retries, **options)
    except (BaseError, OSError, ValueError):
        raise_alone(
            SettingsError(
                f"the configuration of {known}:// is incomplete or not valid",
                remedy="correct AWS_ENDPOINT_URL and AWS_REGION, GOOGLE_APPLICATION_CREDENTIALS, or "
                "AZURE_STORAGE_ACCOUNT_NAME and its key or token",
            )
        )


def _s3_options() -> dict[str, Any]:
    """Give what `from_url` takes besides, and whether http is allowed: on loopback only."""
    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
    options: dict[str, Any] = {}
    if not any(os.environ.get(name) for name in _CREDENTIALS):
        options["credential_provider"], found = _profile()
        endpoint = endpoint or found
    if endpoint:
        parts = urlsplit(endpoint)
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise SettingsError(
                "the object store's endpoint is http://, which everybody can read", remedy="write https://"
            )
        options |= {"config": {"aws_endpoint": endpoint}, "allow_http": parts.scheme == "http"}
    return options


def _profile() -> tuple[Any, str | None]:
    """Give the credentials of AWS_PROFILE or ~/.aws, and the endpoint of the profile if it has one of its own.

    The metadata service of a cloud machine is not asked: elsewhere that takes minutes, silently.
    """
    missing = SettingsError(
        "there are no credentials for the object store",
        remedy="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (read by boto3, which must be "
        "installed); on a machine of AWS with a role, set AWS_METADATA_ENDPOINT=http://169.254.169.254",
    )
    try:
        import boto3
        import botocore.session
        from botocore.exceptions import BotoCoreError
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        raise_alone(missing)
    try:
        core = botocore.session.Session(profile=os.environ.get("AWS_PROFILE"))
        core.get_component("credential_provider").remove("iam-role")
        session = boto3.Session(botocore_session=core)
        frozen = session.get_credentials().get_frozen_credentials()
        provider = Boto3CredentialProvider(session)
        endpoint = session.client("s3").meta.endpoint_url
    except (BotoCoreError, AttributeError, ValueError):
        raise_alone(missing)
    for secret in (frozen.secret_key, frozen.token):
        REDACT.add(Secret(secret or ""))
    return provider, None if endpoint.endswith("amazonaws.com") else endpoint
