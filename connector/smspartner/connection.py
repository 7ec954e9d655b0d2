"""How to reach the API: one frozen value, built once and passed down."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from smspartner.api_key import SHORTEST_KEY, check_api_key, read_api_key
from smspartner.errors import SettingsError
from smspartner.redaction import REDACT, Secret, guard_logging
from smspartner.vendor import DEFAULT_BASE_URL, MOST_REQUESTS_A_MINUTE

BASE_URL_VARIABLE = "SMSPARTNER_BASE_URL"

_RATE_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_RATE_REMEDY = "give a number above 0 and a unit, such as 10/s or 300/min"
LIMITS = {
    "concurrency": (1, 256),
    "timeout": (0.001, 3600),
    "retries": (0, 100),
    "backoff": (0, 3600),
    "passes": (1, 100),
}
"""The least and the most that settings of a connection may be."""


@dataclass(frozen=True)
class Rate:
    """A hard budget: no stretch of `per_seconds` holds more than `count` requests.

    A fraction of a request is one request in a longer time: 0.5 a minute is one in two minutes.

    Raises:
        SettingsError: they are not above 0.
    """

    count: float
    per_seconds: float

    def __post_init__(self) -> None:
        if not (0 < self.count < float("inf") and 0 < self.per_seconds < float("inf")):
            raise SettingsError("the rate is not above 0", remedy=_RATE_REMEDY)

    @property
    def per_second(self) -> float:
        """Requests a second, on average."""
        return self.count / self.per_seconds

    def __str__(self) -> str:
        units = {seconds: unit for unit, seconds in _RATE_UNITS.items()}
        return f"{self.count:g}/{units.get(self.per_seconds) or f'{self.per_seconds:g}s'}"


def parse_rate(text: str, name: str = "the rate") -> Rate:
    """Read `10/s`, `300/min` or `5000/h`.

    Raises:
        SettingsError: it is none of these.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*/\s*(s|min|h)\s*", text)
    if match is None:
        raise SettingsError(f"{name} is not a number of requests per s, min or h", remedy=_RATE_REMEDY)
    return Rate(float(match[1]), _RATE_UNITS[match[2]])


@dataclass(frozen=True)
class Connection:
    """Where the API is, with which key, and within which limits.

    `rate` bounds all workers and retries together (None: 1,800 a minute, and no limit on loopback); `timeout` bounds
    one whole response, in seconds; `retries` are tries after the first; `backoff` is the first wait before a retry, in
    seconds; `passes` bounds how often a tag is read while its pages do not fit, `pass_pauses` are the seconds between;
    `verify` reads until two passes hold the same numbers.

    Raises:
        SettingsError: a value is out of range, or the base URL would put the key on the wire in clear.
    """

    api_key: Secret
    base_url: str = DEFAULT_BASE_URL
    concurrency: int = 8
    rate: Rate | None = None
    timeout: float = 30.0
    retries: int = 5
    backoff: float = 0.5
    passes: int = 3
    pass_pauses: tuple[float, ...] = (1.0, 5.0)
    verify: bool = False
    max_body_bytes: int = field(default=64 * 1024 * 1024, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", check_base_url(self.base_url))
        for name, (lowest, highest) in LIMITS.items():
            _check_range(name, getattr(self, name), lowest, highest)
        if not isinstance(self.rate, Rate | None):
            kind = type(self.rate).__name__
            raise SettingsError(f"rate is {kind}", remedy="give a Rate, such as parse_rate('300/min')")
        if self.rate is None and not self.on_loopback:
            object.__setattr__(self, "rate", Rate(MOST_REQUESTS_A_MINUTE, 60.0))
        check_api_key(self.api_key)
        REDACT.add(self.api_key)
        guard_logging(REDACT)

    @property
    def on_loopback(self) -> bool:
        """Whether the API is on this machine: a sandbox, never reached through a proxy."""
        return is_loopback(urlsplit(self.base_url).hostname or "")


def connection_from_environment(environ: Mapping[str, str] = os.environ) -> Connection:
    """Connect with the key, and the base URL if there is one, that the environment names.

    Raises:
        SettingsError: there is no key, or the base URL is refused.
    """
    key = read_api_key(environ=environ)
    return Connection(api_key=key, base_url=environ.get(BASE_URL_VARIABLE) or DEFAULT_BASE_URL)


def _check_range(name: str, value: float, lowest: float, highest: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
        shown = str(value) if isinstance(value, int | float) else type(value).__name__
        if len(shown) >= SHORTEST_KEY:  # it may be a key in a wrong place
            shown = "out of range"
        raise SettingsError(f"{name} is {shown}", remedy=f"give a number from {lowest} to {highest}")


def check_base_url(url: str) -> str:
    """Return the base URL without a slash at its end; `/v1` is added where the URL has no path.

    Raises:
        SettingsError: no URL of a host, more than scheme, host and path, or plain HTTP beyond loopback.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")  # an empty label, or one that is too long
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    more = parts.username or parts.password or parts.query or parts.fragment or not url.isprintable() or " " in url
    if not host or more or not re.fullmatch(r"[\w.:%-]+", host) or parts.scheme not in {"http", "https"} or port == 0:
        remedy = f"give https://HOST/PATH, such as {DEFAULT_BASE_URL}, without user name, spaces, `?` and `#`"
        raise SettingsError("the base URL is not the URL of an API", remedy=remedy)
    if parts.scheme == "http" and not is_loopback(host):
        what = f"base URL http://{host}: plain HTTP shows the API key to the network"
        raise SettingsError(what, remedy="use https://")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}"


def is_loopback(host: str) -> bool:
    """Whether a host, by its name or address, is this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
