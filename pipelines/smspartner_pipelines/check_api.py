"""Does the API answer, by which way, to this key, and do its clock and ours agree?"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from smspartner.connection import Connection
from smspartner.errors import AccessRefused, ConnectionFailed, RequestError, ResponseTimeout, SettingsError

from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.findings import Finding, failure, fine, warning

if TYPE_CHECKING:
    from smspartner.client import Client

_MOST_CLOCKS_DIFFER = timedelta(minutes=5)
_MOUNTED_SECRETS = ("/run/secrets/", "/var/run/secrets/")
"""Where containers find their secrets, which are open to all users of the container."""

_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_NOT_READ = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Where other programs look for certificates."""


def check_key_file(path: str) -> Iterator[Finding]:
    """Warn where others on this machine can read the key; whether it can be read at all is told with the key."""
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO) and not path.startswith(_MOUNTED_SECRETS):
        yield warning("API key file", f"{path} is open to others (mode {stat.S_IMODE(mode):o}); chmod 600 {path}")


def check_api(connect: Callable[[], Connection], environment: Mapping[str, str]) -> Iterator[Finding]:
    """Ask for the account of the key, which changes nothing; say by which way, and compare the clocks."""
    from smspartner.client import Client

    try:
        connection = connect()
    except SettingsError as exc:
        yield failure("API key", str(exc))
        return
    client = Client(connection)
    try:
        trouble = _ask(client)
        yield _key(trouble)
        yield from _proxy(client.proxy, trouble)
        yield from _certificates(trouble, environment)
        yield _clock(client.seconds_ahead)
    finally:
        client.close()


def _ask(client: Client) -> RequestError | None:
    try:
        client.fetch_account()
    except RequestError as exc:
        return exc
    return None


def _key(trouble: RequestError | None) -> Finding:
    if trouble is None:
        return fine("API key", "accepted by the API")
    refused = isinstance(trouble, AccessRefused)
    return failure("API key", str(trouble), ExitCode.REFUSED if refused else ExitCode.NOT_DONE)


def _proxy(proxy: str | None, trouble: RequestError | None) -> Iterator[Finding]:
    """Say that requests go through a proxy, never with the password that its URL may hold."""
    if proxy is None:
        return
    host = urlsplit(proxy if "://" in proxy else f"//{proxy}").netloc.rpartition("@")[2]
    if isinstance(trouble, ConnectionFailed | ResponseTimeout):
        told = f"{host} stands between here and the API; check HTTPS_PROXY, or name the API's host in NO_PROXY"
        yield warning("proxy", told)
    else:
        yield fine("proxy", f"{host} is used, as the environment says")


def _certificates(trouble: RequestError | None, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Point out certificates that are named where this program does not look, once that matters."""
    named = [name for name in _NOT_READ if environment.get(name)]
    if trouble and "certificate" in str(trouble) and named and not any(map(environment.get, _CERTIFICATES)):
        yield warning("TLS", f"{named[0]} is set but not read; name the file in {_CERTIFICATES[0]}")


def _clock(seconds_ahead: float | None) -> Finding:
    if seconds_ahead is None:
        return warning("clock", "the API gave no time to compare it with; check again once it answers")
    ahead = timedelta(seconds=seconds_ahead)
    if abs(ahead) <= _MOST_CLOCKS_DIFFER:
        return fine("clock", "agrees with the API's")
    side = "ahead of" if ahead > timedelta(0) else "behind"
    told = f"{timedelta(seconds=round(abs(ahead).total_seconds()))} {side} the API's"
    return warning("clock", f"{told}; set it, since it decides which tags are settled or fresh")
