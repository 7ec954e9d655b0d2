"""What the failures of object stores mean, in one sentence with a remedy: never a request, a signature or a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from smspartner.errors import DestinationError
from smspartner_pipelines.load.atomic import destination_error

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_DENIED = ("access is denied", "allow these credentials to list, read, write and delete there")
_REGION = ("the bucket is in another region", "name its region in AWS_REGION, or in the profile")
_FAILING = ("the store is overloaded or out of order", "run again later")
_EXPIRED = ("the session token is not valid, or not any more", "renew the credentials")
_UNREACHABLE = ("the store can't be reached", "check the network, AWS_ENDPOINT_URL and the region")
_BREAKING = ("the connection breaks or stalls", "check the network and run again")
_NO_KEY = ("there are no credentials", "give them as AWS tools take them: AWS_ACCESS_KEY_ID …, or AWS_PROFILE")

_BY_CODE: dict[str, tuple[str, str]] = {
    "NoSuchBucket": ("there is no such bucket", "create it, or correct its name"),
    **dict.fromkeys(("AccessDenied", "403", "Forbidden", "AllAccessDisabled", "AccountProblem"), _DENIED),
    "InvalidAccessKeyId": ("the access key is not known there", "correct AWS_ACCESS_KEY_ID, or the profile"),
    "SignatureDoesNotMatch": (
        "the secret key does not fit the access key",
        "correct AWS_SECRET_ACCESS_KEY, or the profile",
    ),
    **dict.fromkeys(("ExpiredToken", "InvalidToken", "TokenRefreshRequired"), _EXPIRED),
    "RequestTimeTooSkewed": ("the clock of this machine is wrong", "set it"),
    **dict.fromkeys(("PermanentRedirect", "301", "AuthorizationHeaderMalformed", "TemporaryRedirect"), _REGION),
    "IllegalLocationConstraintException": _REGION,
    **dict.fromkeys(("SlowDown", "ServiceUnavailable", "InternalError", "500", "502", "503", "504"), _FAILING),
    "InvalidBucketName": ("that is no name of a bucket", "correct it"),
    "PreconditionFailed": ("another run writes there", "wait until it has ended"),
    "ConditionalRequestConflict": ("another run writes there", "wait until it has ended"),
}
"""What failed and what to do about it, by the code of the answer."""

_BY_NAME: dict[str, tuple[str, str]] = {
    "NoCredentialsError": _NO_KEY,
    "PartialCredentialsError": ("the credentials are incomplete", "give the access key and the secret key"),
    "CredentialRetrievalError": ("the credentials can't be had", "sign in anew, or correct the profile"),
    "ProfileNotFound": ("there is no such profile", "correct AWS_PROFILE"),
    "NoRegionError": ("no region is known", "name it in AWS_REGION"),
    "InvalidRegionError": ("that is no name of a region", "correct AWS_REGION"),
    "ParamValidationError": ("that is no name of a bucket", "correct it"),
    "SSLError": ("the store's certificate is not trusted", "check AWS_ENDPOINT_URL and AWS_CA_BUNDLE"),
    "ConnectionClosedError": _BREAKING,
    "ReadTimeoutError": _BREAKING,
    "ClientPayloadError": _BREAKING,
    "FSTimeoutError": _BREAKING,
    "ResponseParserError": ("the answer is none of an object store", "check AWS_ENDPOINT_URL"),
    "ProxyConnectionError": ("the proxy can't be reached", "check HTTPS_PROXY"),
    "ValueError": ("the address of the store is none", "check AWS_ENDPOINT_URL"),
    "EndpointConnectionError": _UNREACHABLE,
    "ConnectTimeoutError": _UNREACHABLE,
    "HTTPClientError": _UNREACHABLE,
}
"""The same by the name of the exception's class, or of one it derives from: the libraries need not be imported."""


def guarded_store(doing: str, act: Callable[[], T]) -> T:
    """Return what `act` returns; `doing` names the act and the place.

    Raises:
        DestinationError: the store refused; raised outside the `except` block, which cuts the chain.
    """
    try:
        return act()
    except Exception as error:
        if type(error).__module__ == "builtins" and not isinstance(error, OSError) and not _is_about_address(error):
            raise  # a fault of ours, not of the store
        failure = _failure(error, doing)
    raise failure


def code_of(error: BaseException) -> str:
    """Return the code with which the store refused; empty where it gave none."""
    for one in (error, error.__cause__):
        response = getattr(one, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
    return ""


def is_missing(error: BaseException) -> bool:
    """Whether an object is missing, rather than the bucket it should be in."""
    return isinstance(error, FileNotFoundError) and code_of(error) != "NoSuchBucket"


def _is_about_address(error: Exception) -> bool:
    return isinstance(error, ValueError) and str(error).startswith("Invalid endpoint")  # botocore's, on connecting


def _failure(error: Exception, doing: str) -> DestinationError:
    names = [kind.__name__ for one in (error, error.__cause__) for kind in type(one).__mro__]
    told = _BY_CODE.get(code_of(error)) or next((_BY_NAME[name] for name in names if name in _BY_NAME), None)
    if told is None and isinstance(error, PermissionError):
        told = _DENIED
    if told is None and isinstance(error, OSError) and error.errno and not code_of(error):
        return destination_error(error, doing)
    cause, remedy = told or (f"the store refused ({code_of(error) or type(error).__name__})", "mend this and run again")
    return DestinationError(f"{doing} failed: {cause}; {remedy}")
