"""How to reach the API: one frozen value, built once and passed down."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from smspartner.errors import SettingsError
from smspartner.redaction import REDACT, Secret, guard_logging
from smspartner.variables import KEY_FILE_VARIABLE, KEY_VARIABLE
from smspartner.vendor import DEFAULT_BASE_URL

BASE_URL_VARIABLE = "SMSPARTNER_BASE_URL"
NO_KEY = f"no API key: set {KEY_VARIABLE}, or {KEY_FILE_VARIABLE} to a file that holds it"

_RATE_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}


class Reach(Protocol):
    """How the API is reached, but for the key: what may be told, and settled where no key is."""

    @property
    def base_url(self) -> str:
        """Scheme, host and path."""
        ...

    @property
    def concurrency(self) -> int:
        """Requests under way at once, at most."""
        ...

    @property
    def rate(self) -> float | None:
        """Requests a second, at most."""
        ...

    @property
    def timeout(self) -> float:
        """Seconds for one whole response."""
        ...

    @property
    def retries(self) -> int:
        """Tries after the first."""
        ...

    @property
    def backoff(self) -> float:
        """Seconds before the first retry."""
        ...

    @property
    def verify(self) -> bool:
        """Whether a tag is read until two passes agree."""
        ...


@dataclass(frozen=True)
class Connection:
    """Where the API is, with which key, and within which limits.

    `rate` is requests a second for all workers together (None: no limit of ours); `timeout` bounds one whole response,
    in seconds; `retries` are tries after the first; `backoff` is the first wait before a retry, in seconds; `passes`
    bounds how often a tag is read while there are doubts, `pass_pauses` are the seconds between; `verify` reads until two passes hold the same numbers.

    Raises:
        SettingsError: a value is out of range, or the base URL would put the key on the wire in clear.
    """

    api_key: Secret
    base_url: str = DEFAULT_BASE_URL
    concurrency: int = 8
    rate: float | None = None
    timeout: float = 30.0
    retries: int = 5
    backoff: float = 0.5
    passes: int = 3
    pass_pauses: tuple[float, ...] = (1.0, 5.0)
    verify: bool = False
    max_body_bytes: int = field(default=64 * 1024 * 1024, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", check_base_url(self.base_url))
        check_limits(self)
        _check_range("passes", self.passes, 1, 100)
        check_api_key(self.api_key)
        REDACT.add(self.api_key)
        guard_logging(REDACT)


def connection_from_environment(environ: Mapping[str, str] = os.environ) -> Connection:
    """Connect with the key, and the base URL if there is one, that the environment names.

    Raises:
        SettingsError: there is no key, or the base URL is refused.
    """
    key = read_api_key(environ=environ)
    return Connection(api_key=key, base_url=environ.get(BASE_URL_VARIABLE) or DEFAULT_BASE_URL)


def check_limits(reach: Reach) -> None:
    """Refuse limits that are out of range.

    Raises:
        SettingsError: one is.
    """
    _check_range("concurrency", reach.concurrency, 1, 256)
    _check_range("timeout", reach.timeout, 0.001, 3600)
    _check_range("retries", reach.retries, 0, 100)
    _check_range("backoff", reach.backoff, 0, 3600)
    if reach.rate is not None and not 0 < reach.rate < float("inf"):
        raise SettingsError(f"rate is {reach.rate}: give a number above 0, such as 300/min")


def _check_range(name: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        raise SettingsError(f"{name} is {value}: give a number from {lowest} to {highest}")


def check_secret(given: object, name: str) -> None:
    """Refuse a secret given as bare text, which the `repr` of whatever holds it would show.

    Raises:
        SettingsError: it is no `Secret`; neither is it shown here.
    """
    if not isinstance(given, Secret):
        kind = type(given).__name__
        raise SettingsError(f"{name} is given as {kind}: wrap the text, as in Secret(getpass.getpass())")


def check_api_key(key: Secret) -> None:
    """Refuse a key that no request could carry.

    Raises:
        SettingsError: it is no `Secret`, is empty, or holds line breaks or other control characters.
    """
    check_secret(key, "api_key")
    if not key.reveal():
        raise SettingsError(NO_KEY)
    if not key.reveal().isprintable():
        raise SettingsError(f"the API key holds a line break or control character: check {KEY_VARIABLE} or its file")


def check_base_url(url: str) -> str:
    """Return the base URL without a slash at its end; `/v1` is added where the URL has no path.

    Raises:
        SettingsError: no URL of a host, more than scheme, host and path, or plain HTTP beyond loopback.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or parts.scheme not in {"http", "https"} or port == 0:
        raise SettingsError(f"base URL {_shown(url)}: give https://HOST/PATH, such as {DEFAULT_BASE_URL}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise SettingsError("base URL: give scheme, host and path only; user names, `?` and `#` do not belong there")
    if parts.scheme == "http" and not is_loopback(host):
        raise SettingsError(f"base URL http://{host}: plain HTTP would show the API key to the network; use https://")
    path = parts.path.rstrip("/") or "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def _shown(url: str) -> str:
    """Show a malformed URL without what may be credentials in it."""
    return repr(re.sub(r"//[^/@]*@", "//***@", url.split("?", maxsplit=1)[0]))


def is_loopback(host: str) -> bool:
    """Whether a host, by name or address, is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_api_key(key_file: str | None = None, environ: Mapping[str, str] = os.environ) -> Secret:
    """Read the key from `SMSPARTNER_API_KEY`, else from the file named by `SMSPARTNER_API_KEY_FILE` or `key_file`.

    Raises:
        SettingsError: there is none, or its file can't be read.
    """
    value = environ.get(KEY_VARIABLE, "")
    path = environ.get(KEY_FILE_VARIABLE) or key_file
    if not value and path:
        value = _read_key_file(path)
    key = Secret(value.strip())
    check_api_key(key)
    REDACT.add(key)
    return key


def _read_key_file(path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8").removeprefix("\ufeff").strip()
    except (OSError, UnicodeDecodeError) as exc:
        trouble = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
    else:
        if text:
            return text
        trouble = "it is empty"
    raise SettingsError(f"API key file {path}: {trouble}; name a file that holds the key and nothing else")


def parse_rate(text: str) -> float:
    """Read `10/s`, `300/min` or `5000/h` as requests a second.

    Raises:
        SettingsError: it is none of these.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*/\s*(s|min|h)\s*", text)
    if match is None or float(match[1]) <= 0:
        raise SettingsError(f"rate {text!r}: give a number above 0 and a unit, such as 10/s or 300/min")
    return float(match[1]) / _RATE_UNITS[match[2]]
