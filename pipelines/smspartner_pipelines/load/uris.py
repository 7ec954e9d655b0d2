"""The URIs of destinations: which kind each names, what of it is secret, and which of them name one place."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from smspartner.errors import SettingsError
from smspartner.redaction import MASK, REDACT, Secret

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

OBJECT_STORES = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "az", "abfss": "az"}
"""Schemes of object stores, and the one that obstore knows each by."""

EXPORTS = (".parquet", ".csv", ".csv.gz", ".xlsx")
"""How the names of files end that hold one export; each is a kind of its own."""

_BEFORE_PATHS = {"parquet": "dataset", "delta": "delta", "duckdb": "duckdb"}
_BEFORE_SLASHES = {"postgresql": "postgresql", "postgres": "postgresql", **dict.fromkeys(OBJECT_STORES, "objects")}
"""Kinds by what stands before a colon, or before ://; the place of the latter is the whole URI."""

_OTHER_FILES = (
    *(".json", ".jsonl", ".ndjson", ".xls", ".ods", ".tsv", ".txt", ".pq"),
    *(".gz", ".bz2", ".xz", ".zip", ".zst", ".db", ".sqlite", ".duckdb"),
)
"""Endings of files that this product does not write; a directory is hardly meant."""

_PREFIX = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//)?" if os.name != "nt" else r"([A-Za-z][A-Za-z0-9+.-]+):(//)?")
"""What stands before the first colon, unless it is a drive of Windows."""

_NO_PATH = re.compile(r"[\s-]*[A-Za-z_][\w.-]*\s*=|[^./~].*:.*@", re.DOTALL)
"""`word=` at the start, or a login: a string of libpq, or a URI that is written wrong."""

_PASSWORD = re.compile(r"(:(?://)?[^:@/?#]*:)(.*)(?=@)", re.DOTALL)
_SECRET_PARAMETER = re.compile(
    r"((?:[?&;]|^|\s)[^=&;?\s]*(?:pass|pwd|secret|token|key|sig|cred)[^=&;?\s]*\s*=\s*)('[^']*'|[^&;#\s]*)",
    re.IGNORECASE,
)

_KNOWN = (
    "name a directory, a .parquet, .csv, .csv.gz or .xlsx file, duckdb:FILE, postgresql://…, delta:DIR, "
    "s3://BUCKET/PREFIX, or - for standard output; a path with a colon or an equals sign begins with ./"
)


def recognise(uri: str) -> tuple[str, str]:
    """Return the kind of destination that `uri` names, and the path or URI of the place.

    Kinds are `dataset`, `delta`, `duckdb`, `postgresql`, `objects` (a dataset in an object store), `-` (standard
    output) and each of `EXPORTS`.

    Raises:
        SettingsError: `uri` names nothing that this version loads into; of what is not understood, its scheme is shown.
    """
    kind, place = _split(uri)
    if kind is None:
        raise SettingsError(f"this version does not load into {mask_secrets(uri)}", remedy=_KNOWN)
    if place.encode(errors="replace").decode() != place:
        raise SettingsError(
            "the name of a destination holds bytes that are not UTF-8", remedy="rename it, or load elsewhere"
        )
    if kind == "objects" and place == uri and uri.lower().endswith(EXPORTS):
        raise SettingsError(
            "this version writes no single files into object stores",
            remedy=f"name a prefix for a dataset (parquet:{uri.partition('//')[0]}//… if it is one), or a local file",
        )
    if kind in {"postgresql", "objects"}:
        return kind, place
    if uri == "-":
        return uri, uri
    if not place.strip() or "\0" in place:
        raise SettingsError("the destination names no path", remedy=_KNOWN)
    path = os.path.expanduser(place)  # noqa: PTH111 - a closing slash says that it is a directory
    return (_kind_of_path(path), path) if kind == "path" else (kind, path)


def _split(uri: str) -> tuple[str | None, str]:
    """Return the kind that is written before the place (`path` where none is), and the place; None: not understood."""
    prefix = _PREFIX.match(uri)
    if prefix is None:
        return None if _NO_PATH.match(uri) else "path", uri
    name, rest = prefix[1].lower(), uri[prefix.end() :]
    if name == "file":
        host, slash, path = rest.partition("/") if prefix[2] else ("", "", rest)
        return "path" if host in {"", "localhost"} else None, unquote(slash + path, errors="surrogateescape")
    if prefix[2]:
        with suppress(ValueError):  # one bracket is enough, and a URI can't be taken apart
            urlsplit(uri)
            return _BEFORE_SLASHES.get(name), uri
        return None, uri
    kind, place = _split(rest)
    if kind == "objects" and name == "parquet":
        return kind, place
    return _BEFORE_PATHS.get(name) if kind == "path" and place == rest else None, place


def _kind_of_path(path: str) -> str:
    name = path.lower()
    for ending in EXPORTS:
        if name.endswith(ending):
            return ending
    if name.endswith(_OTHER_FILES):
        suffix = Path(name).suffix
        remedy = f"for a DuckDB file, write duckdb:{mask_secrets(path)}" if suffix == ".duckdb" else _KNOWN
        raise SettingsError(f"this version writes no files like *{suffix}", remedy=remedy)
    return "dataset"


def mask_secrets(uri: str) -> str:
    """Return `uri` as it may be shown: with `***` for its secrets, or for all but the scheme of what is not understood.

    What is not understood may hold a password anywhere.
    """
    uri = uri.encode(errors="backslashreplace").decode()
    if _split(uri)[0]:
        return _SECRET_PARAMETER.sub(rf"\1{MASK}", _PASSWORD.sub(rf"\1{MASK}", uri))
    prefix = _PREFIX.match(uri)
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


def check_each_once(uris: Sequence[str]) -> None:
    """Refuse two names of one place; raises SettingsError, also as `recognise`."""
    named: dict[Hashable, str] = {}
    for uri in uris:
        place = same_place(uri)
        if place in named:
            names = " and ".join(dict.fromkeys(map(mask_secrets, (named[place], uri))))
            raise SettingsError(f"one destination is named twice: {names}", remedy="name each once with --to")
        named[place] = uri


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
    parts = urlsplit(uri)
    login, _, host = parts.netloc.rpartition("@")
    given = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    user = unquote(login.partition(":")[0]) or given.get("user") or os.environ.get("PGUSER", "")
    host, port = (host, "") if host.endswith("]") or ":" not in host else host.rsplit(":", 1)
    host = unquote(host) or given.get("host") or given.get("hostaddr") or os.environ.get("PGHOST", "")
    if not host or host.startswith("/") or host.lower() in {"127.0.0.1", "[::1]", "::1"}:
        host = "localhost"
    port = port or given.get("port") or os.environ.get("PGPORT") or "5432"
    database = unquote(parts.path.strip("/")) or given.get("dbname") or os.environ.get("PGDATABASE") or user
    return "postgresql", host.lower(), port, database, given.get("options", "")
