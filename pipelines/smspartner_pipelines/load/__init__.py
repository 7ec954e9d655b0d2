"""Destinations by their URIs: which kind each names, in one table; what of a URI is secret; which are the same."""

from __future__ import annotations

import os
import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from smspartner.errors import SettingsError
from smspartner.redaction import MASK, REDACT, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from smspartner_pipelines.load.destination import Destination
    from smspartner_pipelines.load.warehouse import Tables

    Opener = Callable[[str, str], Destination]
    """Makes a destination of a place and the URI as it is shown; imports what it needs, and not before."""

OBJECT_STORES = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "az", "abfss": "az"}
"""Schemes of object stores, and the one that obstore knows each by."""


def _dataset(place: str, shown: str) -> Destination:
    from smspartner_pipelines.load.dataset import Dataset
    from smspartner_pipelines.load.folder import LocalFiles

    return Dataset(LocalFiles(place), shown)


def _objects(uri: str, shown: str) -> Destination:
    from smspartner_pipelines.load.dataset import Dataset

    return Dataset(_needing("s3", "smspartner_pipelines.load.object_files").ObjectFiles(uri), shown)


def _export(ending: str) -> Opener:
    def opener(place: str, shown: str) -> Destination:
        from smspartner_pipelines.load.export import Export

        return Export(place, ending, shown)

    return opener


def _stdout(_place: str, _shown: str) -> Destination:
    from smspartner_pipelines.load.export import StdoutExport

    return StdoutExport()


def _workbook(place: str, shown: str) -> Destination:  # noqa: ARG001
    raise SettingsError(f"this version writes no workbook like {shown}", remedy="name a .csv or .parquet file")


def _delta(place: str, shown: str) -> Destination:
    return _warehouse(_needing("delta", "smspartner_pipelines.load.delta").DeltaTables(place, where=shown))


def _duckdb(place: str, shown: str) -> Destination:
    return _warehouse(_needing("duckdb", "smspartner_pipelines.load.duckdb").DuckdbTables(place, where=shown))


def _postgresql(uri: str, shown: str) -> Destination:
    return _warehouse(_needing("postgres", "smspartner_pipelines.load.postgresql").PostgresqlTables(uri, where=shown))


def _warehouse(tables: Tables) -> Destination:
    from smspartner_pipelines.load.warehouse import Warehouse

    return Warehouse(tables)


# One line registers a kind of destination: by what stands before its colon, by its scheme (what stands before ://; its
# place is then the whole URI), or by how a file's name ends.
_BY_PREFIX: dict[str, Opener] = {"parquet": _dataset, "delta": _delta, "duckdb": _duckdb}
_BY_SCHEME: dict[str, Opener] = {
    "postgresql": _postgresql,
    "postgres": _postgresql,
    **dict.fromkeys(OBJECT_STORES, _objects),
}
_BY_ENDING: dict[str, Opener] = {
    ".parquet": _export(".parquet"),
    ".csv": _export(".csv"),
    ".csv.gz": _export(".csv.gz"),
    ".xlsx": _workbook,
}

_OTHER_FILES = (
    *(".json", ".jsonl", ".ndjson", ".xls", ".ods", ".tsv", ".txt", ".pq"),
    *(".gz", ".bz2", ".xz", ".zip", ".zst", ".db", ".sqlite", ".duckdb"),
)
"""Endings of files that this product does not write; a directory is hardly meant."""

_PREFIX = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//)?")
_ASSIGNMENT = re.compile(r"\s*[A-Za-z_][\w.-]*\s*=")
_PASSWORD = re.compile(r"(:(?://)?[^:@/?#]*:)(.*)(?=@)", re.DOTALL)
_SECRET_PARAMETER = re.compile(
    r"((?:[?&;]|^|\s)[^=&;\s]*(?:pass|pwd|secret|token|key|sig|cred)[^=&;\s]*\s*=\s*)('[^']*'|[^&;#\s]*)", re.IGNORECASE
)

_KNOWN = (
    "name a directory, a .parquet, .csv or .csv.gz file, duckdb:FILE, postgresql://…, delta:DIR, s3://BUCKET/PREFIX, "
    "or - for standard output; a path with a colon or an equals sign begins with ./"
)


def open_destination(uri: str) -> Destination:
    """Return the destination that `uri` names; nothing is touched before it is checked or opened.

    `DIR` or `parquet:DIR` is a dataset, as is `s3://BUCKET/PREFIX` and its like; `FILE.parquet`, `FILE.csv` and
    `FILE.csv.gz` are exports, `-` is CSV on standard output. `file://` and `~` are understood.

    Raises:
        SettingsError: `uri` names nothing that this version loads into; of what is not understood, its scheme is shown.
    """
    learn_secrets(uri)
    opener, place = _recognised(uri)
    return opener(place, mask_secrets(uri))


def mask_secrets(uri: str) -> str:
    """Return `uri` as it may be shown: with `***` for its secrets, or for all but the scheme of what is not understood.

    What is not understood may hold a password anywhere.
    """
    uri = uri.encode(errors="backslashreplace").decode()
    prefix = _PREFIX.match(uri)
    scheme = prefix[1].lower() if prefix and not _is_drive(prefix) else ""
    if scheme in {*(_BY_SCHEME if prefix and prefix[2] else _BY_PREFIX), "file"} or not (
        scheme or _ASSIGNMENT.match(uri)
    ):
        return _SECRET_PARAMETER.sub(rf"\1{MASK}", _PASSWORD.sub(rf"\1{MASK}", uri))
    return f"{prefix[0] if prefix else ''}{MASK}"


def learn_secrets(uri: str) -> None:
    """Let nothing that leaves the process show what stands in `uri` as a password or token."""
    for secret in secrets_in(uri):
        REDACT.add(Secret(secret))


def secrets_in(uri: str) -> list[str]:
    """List the passwords and tokens that stand in `uri`, as they are written and as they are meant."""
    found = [match[2] for match in _PASSWORD.finditer(uri)]
    found += [secret.rpartition(":")[2] for secret in found]  # jdbc:postgresql://USER:PASSWORD@HOST
    found += [match[2].strip("'") for match in _SECRET_PARAMETER.finditer(uri)]
    return [secret for one in found if one for secret in {one, unquote(one)}]


def same_place(uri: str) -> Hashable:
    """Return what two URIs have in common that name one place, also by another spelling or a link.

    Raises:
        SettingsError: as `open_destination`.
    """
    opener, place = _recognised(uri)
    if opener is _stdout:
        return "-"
    if opener is _postgresql:
        return _database(place)
    if opener is _objects:
        parts = urlsplit(place)
        return OBJECT_STORES[parts.scheme.lower()], parts.netloc, tuple(filter(None, parts.path.split("/")))
    path = Path(os.path.realpath(place))
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    found = existing.stat()
    return found.st_dev, found.st_ino, path.relative_to(existing).parts


def _database(uri: str) -> Hashable:
    parts = urlsplit(uri)
    given = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    login = parts.netloc.rpartition("@")[0].partition(":")[0]
    user = unquote(login) or given.get("user") or os.environ.get("PGUSER", "")
    hosts = parts.netloc.rpartition("@")[2]
    host, _, port = hosts.rpartition(":") if re.search(r":\d*$", hosts) else (hosts, "", "")
    host = unquote(host) or given.get("host") or given.get("hostaddr") or os.environ.get("PGHOST", "")
    local = not host or host.startswith("/") or host.lower() in {"localhost", "127.0.0.1", "[::1]", "::1"}
    port = port or given.get("port") or os.environ.get("PGPORT") or "5432"
    database = unquote(parts.path.strip("/")) or given.get("dbname") or os.environ.get("PGDATABASE") or user
    return "postgresql", "localhost" if local else host.lower(), port, database, given.get("options", "")


def _needing(extra: str, module: str) -> Any:
    """Import a module of this package that needs the libraries of an extra.

    Raises:
        SettingsError: they are not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as exc:
        missing = exc.name
    raise SettingsError(f"that destination needs {missing}", remedy=f"pip install 'smspartner-connector[{extra}]'")


def _recognised(uri: str) -> tuple[Opener, str]:
    _refuse_undecodable(uri)
    if uri == "-":
        return _stdout, uri
    if uri.lower().startswith("file:"):
        return _by_ending(_path_of(uri))
    prefix = _PREFIX.match(uri)
    if prefix is None or _is_drive(prefix):
        return _by_ending(uri)
    place = uri if prefix[2] else uri[prefix.end() :]
    opener = (_BY_SCHEME if prefix[2] else _BY_PREFIX).get(prefix[1].lower())
    inner = None if prefix[2] else _PREFIX.match(place)
    if opener is _dataset and inner and inner[2] and inner[1].lower() in OBJECT_STORES:
        return _objects, place
    if opener is None or (inner and not _is_drive(inner)):
        raise _not_understood(uri)
    if opener is _objects and place.lower().endswith(tuple(_BY_ENDING)):
        raise SettingsError(
            "this version writes no single files into object stores",
            remedy=f"name a prefix for a dataset, parquet:{prefix[1]}://… if it is one, or a local file",
        )
    return opener, place if prefix[2] else _usable(place)


def _is_drive(prefix: re.Match[str]) -> bool:
    """Return whether it is a drive of Windows rather than a scheme."""
    return os.name == "nt" and len(prefix[1]) == 1


def _by_ending(path: str) -> tuple[Opener, str]:
    path = _usable(path)
    name = path.lower()
    for ending, opener in _BY_ENDING.items():
        if name.endswith(ending):
            return opener, path
    if name.endswith(_OTHER_FILES):
        raise SettingsError(
            f"this version writes no files like *{Path(name).suffix}", remedy=f"{_KNOWN} (parquet:DIR if it is one)"
        )
    return _dataset, path


def _path_of(file_uri: str) -> str:
    path = file_uri[len("file:") :]
    if path.startswith("//"):
        host, slash, path = path[2:].partition("/")
        if host not in {"", "localhost"} or not slash:
            raise SettingsError("that file: URI names another machine", remedy="write file:///PATH, or the path alone")
        path = slash + path
    return unquote(path, errors="surrogateescape")


def _usable(path: str) -> str:
    if not path.strip() or "\0" in path:
        raise SettingsError("the destination names no path", remedy=_KNOWN)
    if not path.isascii() and path != path.encode("utf-8", "replace").decode():
        raise SettingsError(
            "a destination's path holds bytes that are not UTF-8", remedy="rename it, or load elsewhere"
        )
    if _ASSIGNMENT.match(path):
        raise _not_understood(path)
    try:
        # A path made by pathlib would lose the closing slash, which tells a directory from a file.
        return str(Path(path).expanduser()) + "/" * path.endswith("/") if path.startswith("~") else path
    except RuntimeError:  # no such user
        return path


def _not_understood(uri: str) -> SettingsError:
    return SettingsError(f"this version does not load into {mask_secrets(uri)}", remedy=_KNOWN)


def _refuse_undecodable(uri: str) -> None:
    try:
        uri.encode()
    except UnicodeEncodeError:
        raise SettingsError(
            "the name of a destination holds bytes that are not UTF-8", remedy="rename it, or load elsewhere"
        ) from None
