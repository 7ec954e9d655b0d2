"""Object stores by obstore: which store a URI means, and credentials that never leave the process."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import from_url
from smspartner.errors import SettingsError, raise_alone
from smspartner.redaction import REDACT, Secret

from smspartner_pipelines.load.uris import OBJECT_STORES, mask_secrets

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_KEY")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_CREDENTIALS = (
    *("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
    *("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_METADATA_ENDPOINT", "AWS_SKIP_SIGNATURE"),
)
"""Variables by which obstore finds credentials; without any it would ask the metadata service of a cloud machine."""

_CONFIGURATION = {
    "s3": "correct AWS_ENDPOINT_URL and AWS_REGION",
    "gs": "correct GOOGLE_APPLICATION_CREDENTIALS",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME, and a key or token",
}

_FILES = {"AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials", "AWS_CONFIG_FILE": "~/.aws/config"}


def open_store(uri: str) -> Any:
    """Return the obstore store that `uri` names; nothing is requested yet.

    Raises:
        SettingsError: the URI names no bucket, credentials stand in it, or none are given where they are expected.
    """
    parts = urlsplit(uri)
    scheme = parts.scheme.lower()
    if "@" in parts.netloc and scheme not in {"abfs", "abfss"}:  # where the container stands before the account
        raise SettingsError(
            f"credentials do not belong into {mask_secrets(uri)}, where others can see them",
            remedy="name the bucket alone, and give them in the environment or a profile",
        )
    if not parts.netloc or parts.query or parts.fragment:
        raise SettingsError(f"{mask_secrets(uri)} names no bucket and prefix", remedy=f"write {scheme}://BUCKET/PREFIX")
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
            SettingsError(f"the configuration of {known}:// is incomplete or not valid", remedy=_CONFIGURATION[known])
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
        remedy="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; "
        "on a machine of AWS with a role, set AWS_METADATA_ENDPOINT=http://169.254.169.254",
    )
    files = [Path(os.environ.get(variable, default)).expanduser() for variable, default in _FILES.items()]
    if not os.environ.get("AWS_PROFILE") and not any(file.exists() for file in files):
        raise missing
    try:
        import boto3
        import botocore.session
        from botocore.exceptions import BotoCoreError
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        missing = SettingsError(
            "AWS_PROFILE and ~/.aws are read by boto3, which is not installed", remedy="pip install boto3"
        )
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
