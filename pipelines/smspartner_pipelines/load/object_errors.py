"""What the failures of object stores mean, in one sentence with a remedy: never a request, a signature or a key."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from smspartner.errors import DestinationError, SettingsError, raise_alone

if TYPE_CHECKING:
    from collections.abc import Iterator

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
_SETTINGS_BY_CLASS: tuple[tuple[type[Exception], tuple[str, str]], ...] = (
    (FileNotFoundError, _NO_BUCKET),  # what only reads one object maps it before
    (PermissionDeniedError, _DENIED),
    (UnauthenticatedError, _DENIED),
)
_BUSY = ("another run writes there", "wait until it has ended")
_FAILING = ("the store can't be reached, or is out of order", "check network, credentials, endpoint and region")


@contextmanager
def store_errors(doing: str, *, starting: bool = False) -> Iterator[None]:
    """Say in our words what the store refuses in the block; `doing` names the act and the place.

    S3 gives a code with most refusals; the class of obstore's exception says less. Its text is kilobytes long, and is
    not passed on.

    Raises:
        DestinationError: it refused. With `starting`, when nothing was loaded yet: SettingsError for rights and names.
    """
    try:
        yield
    except (BaseError, OSError) as error:
        code = _CODE.search(str(error))
        setting = _SETTINGS_BY_CODE.get(code[1] if code else "") or next(
            (words for kind, words in _SETTINGS_BY_CLASS if isinstance(error, kind)), None
        )
        is_busy = isinstance(error, AlreadyExistsError | PreconditionError)
        cause, remedy = setting or (_BUSY if is_busy else _FAILING)
        kind = SettingsError if starting and setting else DestinationError
        raise_alone(kind(f"{doing} failed: {cause}{f' ({code[1]})' if code else ''}", remedy=remedy))
