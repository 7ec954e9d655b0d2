"""Is everything ready for a run? Says what is wrong and what to do; changes nothing that is loaded."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from smspartner.connection import is_loopback
from smspartner.errors import AccessRefused, DestinationError, RequestError, SettingsError

from smspartner_pipelines.exit_codes import ExitCode, exit_code_for
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.destination import NothingLoaded, loaded_tags

if TYPE_CHECKING:
    from smspartner.connection import Connection

_PRODUCT = "smspartner-connector"
_LIBRARIES = ("great-expectations", "pandas", "pyarrow", "requests")
_MOST_SERIOUS_FIRST = (ExitCode.WRONG_SETTINGS, ExitCode.REFUSED, ExitCode.NOT_DONE, ExitCode.TAGS_NOT_COMPLETE)
_MOUNTED_SECRETS = ("/run/secrets/", "/var/run/secrets/")
"""Where containers find their secrets, which are open to all users of the container."""


@dataclass(frozen=True)
class Finding:
    """The state of one thing; `text` says what to do about what is not fine.

    `code` is the exit code of a run that meets this failure.
    """

    level: Literal["ok", "warn", "FAIL"]
    what: str
    text: str
    code: ExitCode = ExitCode.OK
    destination: bool = False

    def line(self) -> str:
        """Give the line for people."""
        return f"{self.level:<4}  {self.what}: {self.text}"

    def facts(self) -> dict[str, str]:
        """Give the same for programs."""
        return {"level": self.level, "what": self.what, "text": self.text}


def check_all(
    connect: Callable[[], Connection],
    destinations: Sequence[str],
    unknown_variables: Mapping[str, str | None],
    key_file: str | None,
) -> Iterator[Finding]:
    """Check settings, key, the way to the API, destinations and libraries, one after the other.

    `connect` gives the connection, or raises what is wrong with the settings.
    """
    yield from check_variables(unknown_variables)
    yield from check_key_file(key_file)
    yield from check_api(connect)
    yield from check_destinations(destinations)
    yield from check_versions()


def exit_code_of(findings: Iterable[Finding]) -> ExitCode:
    """Give the code a run would end with: where no destination can be used, it would request nothing."""
    found = list(findings)
    failed = [one for one in found if one.level == "FAIL"]
    destinations = [one for one in found if one.destination]
    if destinations and all(one in failed for one in destinations):
        failed = [one for one in failed if one.destination or one.code is ExitCode.WRONG_SETTINGS]
    codes = {one.code for one in failed}
    return next((code for code in _MOST_SERIOUS_FIRST if code in codes), ExitCode.OK)


def check_variables(unknown: Mapping[str, str | None]) -> Iterator[Finding]:
    """Warn of variables that begin like ours and that nothing reads, with the one that may have been meant."""
    for name, near in unknown.items():
        remedy = f"write {near} if that was meant" if near else "remove it, or see the options of `--help`"
        yield Finding("warn", name, f"no option reads this variable; {remedy}")


def check_key_file(path: str | None) -> Iterator[Finding]:
    """Warn where others on this machine can read the key; whether it can be read at all is said with the key."""
    if path is None or os.name != "posix" or path.startswith(_MOUNTED_SECRETS):
        return
    try:
        mode = stat.S_IMODE(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Finding("warn", "API key file", f"it is open to others (mode {mode:o}); chmod 600 the file")


def check_api(connect: Callable[[], Connection]) -> Iterator[Finding]:
    """Ask for the account of the key, which changes nothing, and say by which way."""
    from smspartner.client import Client

    try:
        connection = connect()
    except SettingsError as exc:
        yield Finding("FAIL", "API key", str(exc), ExitCode.WRONG_SETTINGS)
        return
    client = Client(connection)
    try:
        client.fetch_account()
    except RequestError as exc:
        code = ExitCode.REFUSED if isinstance(exc, AccessRefused) else ExitCode.TAGS_NOT_COMPLETE
        yield Finding("FAIL", "API key", str(exc), code)
    else:
        yield Finding("ok", "API key", "accepted by the API")
    finally:
        client.close()
    yield _proxy(connection.base_url, client.proxy)


def _proxy(base_url: str, proxy: str | None) -> Finding:
    """Say which proxy requests go through, never with the password that its URL may hold."""
    if is_loopback(urlsplit(base_url).hostname or ""):
        return Finding("ok", "proxy", "none: the API is on this machine, which is never reached through a proxy")
    if proxy is None:
        return Finding("ok", "proxy", "none: the environment names none for this host")
    host = urlsplit(proxy if "://" in proxy else f"//{proxy}").netloc.rpartition("@")[2]
    return Finding("ok", "proxy", f"{host}, as the environment says; name the API's host in NO_PROXY to go without")


def check_destinations(uris: Sequence[str]) -> Iterator[Finding]:
    """Say of each destination whether it can be written, and how many tags are loaded there."""
    from smspartner_pipelines.load import mask_secrets

    for uri in uris:
        name = mask_secrets(uri)
        try:
            yield Finding("ok", name, _state_of(uri), destination=True)
        except (SettingsError, DestinationError) as exc:
            code = exit_code_for(exc) if len(uris) == 1 else ExitCode.NOT_DONE
            yield Finding("FAIL", name, str(exc), code, destination=True)


def _state_of(uri: str) -> str:
    destination = open_destination(uri)
    destination.check()
    if not destination.keeps_tags:
        return "can be written"
    try:
        with destination.open(for_loading=False):
            tags, damages = loaded_tags(destination)
    except NothingLoaded:
        return "can be written; nothing is loaded yet"
    damaged = f", {len(damages)} can't be read: see `smspartner validate`" if damages else ""
    return f"can be written; {len(tags)} tags are loaded{damaged}"


def check_versions() -> Iterator[Finding]:
    """Compare what is installed with what the product declares to need."""
    from packaging.requirements import Requirement  # which Great Expectations brings

    fits = True
    for declared in importlib.metadata.requires(_PRODUCT) or ():
        needed = Requirement(declared)
        found = _version(needed.name)
        if found and not needed.specifier.contains(found, prereleases=True):
            fits = False
            remedy = f"pip install '{needed.name}{needed.specifier}'"
            text = f"{found} is installed, {needed.specifier} is needed; {remedy}"
            yield Finding("FAIL", needed.name, text, ExitCode.NOT_DONE)
    if fits:
        versions = ", ".join(f"{name} {_version(name)}" for name in (_PRODUCT, *_LIBRARIES))
        yield Finding("ok", "versions", f"{versions}, Python {platform.python_version()}")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
