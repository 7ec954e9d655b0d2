"""The URIs of destinations: which kind each names, what of it is secret, and which of them name one place."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from smspartner.errors import SettingsError
from smspartner.redaction import MASK, REDACT, Secret

if TYPE_CHECKING:
    from collections.abc import Hashable

OBJECT_STORES = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "az", "abfss": "az"}
"""Schemes of object stores, and the one that obstore knows each by."""

EXPORTS = (".parquet", ".csv", ".csv.gz", ".xlsx")
"""How the names of files end that hold one export; each is a kind of its own."""

_PREFIXES = {"parquet": "dataset", "delta": "delta", "duckdb": "duckdb"}
_SCHEMES = {"postgresql": "postgresql", "postgres": "postgresql", **dict.fromkeys(OBJECT_STORES, "objects")}
"""Kinds by what stands before a colon, or before ://; their place is then the whole URI."""

_OTHER_FILES = (
    *(".json", ".jsonl", ".ndjson", ".xls", ".ods", ".tsv", ".txt", ".pq"),
    *(".gz", ".bz2", ".xz", ".zip", ".zst", ".db", ".sqlite", ".duckdb"),
)
"""Endings of files that this product does not write; a directory is hardly meant."""

_PREFIX = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//)?")
_NO_PATH = re.compile(r"[\s-]*[A-Za-z_][\w.-]*\s*=|[^./~].*:.*@", re.DOTALL)
"""`word=` at the start, or a login: a string of libpq, or a URI that is written wrong."""

_PASSWORD = re.compile(r"(:(?://)?[^:@/?#]*:)(.*)(?=@)", re.DOTALL)
_SECRET_PARAMETER = re.compile(
    r"((?:[?&;]|^|\s)[^=&;?\s]*(?:pass|pwd|secret|token|key|sig|cred)[^=&;?\s]*\s*=\s*)('[^']*'|[^&;#\s]*)",
    re.IGNORECASE,
)

_KNOWN = (
    "name a directory, a .parquet, .csv or .csv.gz file, duckdb:FILE, postgresql://…, delta:DIR, s3://BUCKET/PREFIX, "
    "or - for standard output; a path with a colon or an equals sign begins with ./"
)


def recognise(uri: str) -> tuple[str, str]:
    """Return the kind of destination that `uri` names, and the path or URI of the place.

    Kinds are `dataset`, `delta`, `duckdb`, `postgresql`, `objects` (a dataset in an object store), `-` (standard
    output) and each of `EXPORTS`.

    Raises:
        SettingsError: `uri` names nothing that this version loads into; of what is not understood, its scheme is shown.
    """
    _refuse_undecodable(uri)
    if not _is_understood(uri):
        raise SettingsError(f"this version does not load into {mask_secrets(uri)}", remedy=_KNOWN)
    if uri == "-":
        return "-", uri
    prefix = _prefix(uri)
    if prefix is None:
        return _by_ending(uri)
    name, place = prefix[1].lower(), uri[prefix.end() :]
    if name == "file":
        return _by_ending(_path_of(uri))
    if name in _PREFIXES:
        return ("objects", place) if _is_object(place) else (_PREFIXES[name], _usable(place))
    if _is_object(uri) and uri.lower().endswith(EXPORTS):
        raise SettingsError(
            "this version writes no single files into object stores",
            remedy=f"name a prefix for a dataset (parquet:{prefix[0]}… if it is one), or a local file",
        )
    return _SCHEMES[name], uri


def mask_secrets(uri: str) -> str:
    """Return `uri` as it may be shown: with `***` for its secrets, or for all but the scheme of what is not understood.

    What is not understood may hold a password anywhere.
    """
    uri = uri.encode(errors="backslashreplace").decode()
    if _is_understood(uri):
        return _SECRET_PARAMETER.sub(rf"\1{MASK}", _PASSWORD.sub(rf"\1{MASK}", uri))
    prefix = _prefix(uri)
    return f"{prefix[0] if prefix else ''}{MASK}"


def learn_secrets(uri: str) -> None:
    """Let nothing that leaves the process show what stands in `uri` as a password or token."""
    for secret in secrets_in(uri):
        REDACT.add(Secret(secret))


def secrets_in(uri: str) -> list[str]:
    """List the passwords and tokens that stand in `uri`, as they are written and as they are meant."""
    found = [match[2] for match in _PASSWORD.finditer(uri)]
    found += [secret.rpartition(":")[2] for secret in found]  # jdbc:postgresql://USER:PASSWORD@HOST
    without_password = _PASSWORD.sub(rf"\1{MASK}", uri)  # which may read like the name of a parameter
    found += [match[2].strip("'") for match in _SECRET_PARAMETER.finditer(without_password)]
    return [secret for one in found if one for secret in {one, unquote(one)}]


def same_place(uri: str) -> Hashable:
    """Return what two URIs have in common that name one place, also by another spelling or a link.

    Raises:
        SettingsError: as `recognise`.
    """
    kind, place = recognise(uri)
    if kind == "-":
        return kind
    if kind == "postgresql":
        return _database(place)
    if kind == "objects":
        parts = urlsplit(place)
        return OBJECT_STORES[parts.scheme.lower()], parts.netloc, tuple(filter(None, parts.path.split("/")))
    path = Path(os.path.realpath(place))
    existing = next(folder for folder in (path, *path.parents) if os.path.exists(folder))  # noqa: PTH110 - False where it may not be seen
    found = existing.stat()
    return found.st_dev, found.st_ino, path.relative_to(existing).parts


def _database(uri: str) -> Hashable:
    """Give server, port, database and options, by what libpq takes where the URI says nothing."""
    login, _, host = urlsplit(uri).netloc.rpartition("@")
    given = {name: values[-1] for name, values in parse_qs(urlsplit(uri).query).items()}
    user = unquote(login.partition(":")[0]) or given.get("user") or os.environ.get("PGUSER", "")
    host, port = (host, "") if host.endswith("]") or ":" not in host else host.rsplit(":", 1)
    host = unquote(host) or given.get("host") or given.get("hostaddr") or os.environ.get("PGHOST", "")
    if not host or host.startswith("/") or host.lower() in {"127.0.0.1", "[::1]", "::1"}:
        host = "localhost"
    port = port or given.get("port") or os.environ.get("PGPORT") or "5432"
    database = unquote(urlsplit(uri).path.strip("/")) or given.get("dbname") or os.environ.get("PGDATABASE") or user
    return "postgresql", host.lower(), port, database, given.get("options", "")


def _is_understood(uri: str) -> bool:
    prefix = _prefix(uri)
    if prefix is None:
        return not _NO_PATH.match(uri)
    name, place = prefix[1].lower(), uri[prefix.end() :]
    if prefix[2]:
        return name in {*_SCHEMES, "file"} and _is_url(uri)
    plain = _prefix(place) is None and not _NO_PATH.match(place)
    return name == "file" or (
        name in _PREFIXES and (plain or (name == "parquet" and _is_object(place) and _is_url(place)))
    )


def _is_url(uri: str) -> bool:
    """Whether a URI with `//` can be taken apart, which one bracket is enough to prevent."""
    try:
        urlsplit(uri)
    except ValueError:
        return False
    return True


def _is_object(uri: str) -> bool:
    scheme, separator, _ = uri.partition("://")
    return bool(separator) and scheme.lower() in OBJECT_STORES


def _prefix(uri: str) -> re.Match[str] | None:
    """Find what stands before the first colon, unless it is a drive of Windows."""
    found = _PREFIX.match(uri)
    return None if found and os.name == "nt" and len(found[1]) == 1 else found


def _by_ending(path: str) -> tuple[str, str]:
    path = _usable(path)
    name = path.lower()
    for ending in EXPORTS:
        if name.endswith(ending):
            return ending, path
    if name.endswith(_OTHER_FILES):
        suffix = Path(name).suffix
        remedy = f"for a DuckDB file, write duckdb:{mask_secrets(path)}" if suffix == ".duckdb" else _KNOWN
        raise SettingsError(f"this version writes no files like *{suffix}", remedy=remedy)
    return "dataset", path


def _path_of(file_uri: str) -> str:
    path = file_uri[len("file:") :]
    if path.startswith("//"):
        host, slash, path = path[2:].partition("/")
        if host not in {"", "localhost"} or not slash:
            raise SettingsError("that file: URI names another machine", remedy="write file:///PATH, or the path alone")
        path = slash + path
    return unquote(path, errors="surrogateescape")


def _usable(path: str) -> str:
    _refuse_undecodable(path)
    if not path.strip() or "\0" in path:
        raise SettingsError("the destination names no path", remedy=_KNOWN)
    try:
        # A path made by pathlib would lose the closing slash, which says that it is a directory.
        return str(Path(path).expanduser()) + "/" * path.endswith("/") if path.startswith("~") else path
    except RuntimeError:  # no such user
        return path


def _refuse_undecodable(uri: str) -> None:
    try:
        uri.encode()
    except UnicodeEncodeError:
        raise SettingsError(
            "the name of a destination holds bytes that are not UTF-8", remedy="rename it, or load elsewhere"
        ) from None
