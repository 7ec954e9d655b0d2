"""Destinations by their URIs: which kind of place each names, in one table."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from smspartner.errors import SettingsError
from smspartner_pipelines.load.destination import CSV_DIALECTS, CsvDialect
from smspartner.redaction import REDACT, Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from smspartner_pipelines.load.database import Database
    from smspartner_pipelines.load.destination import Destination, TagStore

    Opener = Callable[[str, CsvDialect], Destination]
    """Makes a destination of the place that a URI names and the CSV dialect; imports what it needs, and not before."""


def _dataset(place: str, _csv_dialect: CsvDialect) -> Destination:
    from smspartner_pipelines.load.dataset import ParquetDataset

    return ParquetDataset(place)


def _objects(place: str, csv_dialect: CsvDialect) -> Destination:
    if place.lower().endswith(tuple(_BY_ENDING)):
        raise SettingsError(
            f"this version writes no single files like {mask_secrets(place)} into object stores; name a prefix for a "
            f"dataset (parquet:{mask_secrets(place)} if it is one), or a local file"
        )
    return _object_dataset(place, csv_dialect)


def _object_dataset(place: str, _csv_dialect: CsvDialect) -> Destination:
    from smspartner_pipelines.load.dataset import ParquetDataset

    return ParquetDataset(place, _needing("s3", "smspartner_pipelines.load.object_files").ObjectFiles(place))


def _delta(place: str, _csv_dialect: CsvDialect) -> Destination:
    return cast("Destination", _needing("delta", "smspartner_pipelines.load.delta").DeltaLake(place))


def _parquet_file(place: str, _csv_dialect: CsvDialect) -> Destination:
    from smspartner_pipelines.load.export import ParquetExport

    return ParquetExport(place)


def _csv_file(place: str, csv_dialect: CsvDialect) -> Destination:
    from smspartner_pipelines.load.export import CsvExport

    return CsvExport(place, csv_dialect)


def _csv_on_stdout(_place: str, csv_dialect: CsvDialect) -> Destination:
    from smspartner_pipelines.load.export import CsvStdout

    return CsvStdout(csv_dialect)


def _duckdb(place: str, _csv_dialect: CsvDialect) -> Destination:
    database = _needing("duckdb", "smspartner_pipelines.load.duckdb").DuckdbDatabase(place, where=f"duckdb:{place}")
    return _warehouse(database)


def _postgresql(uri: str, _csv_dialect: CsvDialect) -> Destination:
    postgresql = _needing("postgres", "smspartner_pipelines.load.postgresql")
    return _warehouse(postgresql.PostgresqlDatabase(uri, where=mask_secrets(uri)))


def _warehouse(database: Database) -> Destination:
    from smspartner_pipelines.load.warehouse import Warehouse

    return Warehouse(database)


# One line registers a kind of destination: by what stands before its colon, by its scheme (what stands before ://; its
# place is then the whole URI), or by how a file's name ends.
_BY_PREFIX: dict[str, Opener] = {
    "parquet": _dataset,
    "delta": _delta,
    "duckdb": _duckdb,
}
_OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory")
"""Schemes of fsspec whose stores put an object there as a whole or not at all."""

_BY_SCHEME: dict[str, Opener] = {
    "postgresql": _postgresql,
    "postgres": _postgresql,
    **dict.fromkeys(_OBJECT_STORES, _objects),
}
_BY_ENDING: dict[str, Opener] = {
    ".parquet": _parquet_file,
    ".csv": _csv_file,
    ".csv.gz": _csv_file,
}

_OTHER_FILES = (
    *(".json", ".jsonl", ".ndjson", ".xlsx", ".xls", ".ods", ".tsv", ".txt", ".pq"),
    *(".gz", ".bz2", ".xz", ".zip", ".zst", ".db", ".sqlite", ".duckdb"),
)
"""Endings of files that this product does not write; a directory is hardly meant."""

_PREFIX = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(//)?")
_PASSWORD = re.compile(r"(://[^:@/?#]*:)(.*)(?=@)", re.DOTALL)
_SECRET_PARAMETER = re.compile(r"([?&;][^=&;]*(?:pass|pwd|secret|token|key|sig|cred)[^=&;]*=)([^&;#]*)", re.IGNORECASE)

_KNOWN = (
    "name a directory, a .parquet, .csv or .csv.gz file, duckdb:FILE, postgresql://…, delta:DIR, s3://BUCKET/PREFIX, "
    "or - for standard output"
)


def open_destination(uri: str, *, csv_dialect: str = "rfc4180") -> Destination:
    """Return the destination that `uri` names; nothing is touched before it is checked or entered.

    `DIR` or `parquet:DIR` is a dataset, as is `s3://BUCKET/PREFIX` and its like; `FILE.parquet`, `FILE.csv` and
    `FILE.csv.gz` are exports, `-` is CSV on standard output. `file://` and `~` are understood.

    Raises:
        SettingsError: `uri` names nothing that this version loads into, or there is no such CSV dialect.
    """
    if csv_dialect not in CSV_DIALECTS:
        raise SettingsError(f"there is no CSV dialect {csv_dialect!r}; use one of: {', '.join(CSV_DIALECTS)}")
    learn_secrets(uri)
    opener, place = _recognised(uri)
    destination = opener(place, csv_dialect)
    destination.uri = mask_secrets(uri)
    return destination


def open_store(uri: str) -> TagStore:
    """Return the destination that `uri` names, which must keep tags and have been loaded.

    Raises:
        SettingsError: it is an export, or there is nothing.
    """
    destination = open_destination(uri)
    if not destination.keeps_tags:
        raise SettingsError(f"{destination.uri} is an export, which keeps no tags: name a dataset or a warehouse")
    if not destination.exists():
        raise SettingsError(f"nothing was ever loaded into {destination.uri}: name the destination of a run")
    return cast("TagStore", destination)


def local_directory(uri: str) -> str | None:
    """Return the directory of this machine that `uri` names; None where it names something else.

    Raises:
        SettingsError: as `open_destination`.
    """
    opener, place = _recognised(uri)
    return place if opener in {_dataset, _delta} else None


def mask_secrets(uri: str) -> str:
    """Return `uri` with `***` in the place of its password and of parameters that are named like secrets."""
    return _SECRET_PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1***", uri))


def secrets_in(uri: str) -> list[str]:
    """List the passwords and tokens that stand in `uri`, as they are written and as they are meant."""
    found = [match[2] for pattern in (_PASSWORD, _SECRET_PARAMETER) for match in pattern.finditer(uri)]
    return [*found, *map(unquote, found)]


def learn_secrets(uri: str) -> None:
    """Let nothing that leaves the process show what stands in `uri` as a password or token."""
    for secret in secrets_in(uri):
        REDACT.add(Secret(secret))


def _needing(extra: str, module: str) -> Any:
    """Import a module of this package that needs the libraries of an extra.

    Raises:
        SettingsError: they are not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as exc:
        missing = exc.name
    raise SettingsError(f"that destination needs {missing}: pip install 'smspartner-connector[{extra}]'")


def _recognised(uri: str) -> tuple[Opener, str]:
    if uri == "-":
        return _csv_on_stdout, uri
    if uri.lower().startswith("file:"):
        return _by_ending(_path_of(uri))
    prefix = _PREFIX.match(uri)
    if prefix and prefix[1].lower() == "parquet" and not prefix[2]:
        inner = _PREFIX.match(uri, prefix.end())
        if inner and inner[2] and inner[1].lower() in _OBJECT_STORES:
            return _object_dataset, uri[prefix.end() :]
    if prefix is None:
        return _by_ending(uri)
    if prefix[2]:
        opener, place = _BY_SCHEME.get(prefix[1].lower()), uri
    else:
        opener, place = _BY_PREFIX.get(prefix[1].lower()), uri[prefix.end() :]
    if opener is None or (place is not uri and _PREFIX.match(place)):
        remedy = _KNOWN if "://" in uri else f"{_KNOWN}; a path with a colon begins with ./"
        raise SettingsError(f"this version does not load into {mask_secrets(uri)} yet; {remedy}")
    return opener, place if prefix[2] else _usable(place)


def _by_ending(path: str) -> tuple[Opener, str]:
    path = _usable(path)
    name = path.lower()
    for ending, opener in _BY_ENDING.items():
        if name.endswith(ending):
            return opener, path
    if name.endswith(_OTHER_FILES):
        raise SettingsError(f"this version writes no such file as {path}; {_KNOWN} (parquet:DIR if it is a directory)")
    return _dataset, path


def _path_of(file_uri: str) -> str:
    path = file_uri[len("file:") :]
    if path.startswith("//"):
        host, slash, path = path[2:].partition("/")
        if host not in {"", "localhost"} or not slash:
            raise SettingsError(f"{file_uri} names another machine; write file:///PATH, or the path alone")
        path = slash + path
    return unquote(path)


def _usable(path: str) -> str:
    if not path.strip() or "\0" in path:
        raise SettingsError(f"the destination names no place; {_KNOWN}")
    try:
        # A path made by pathlib would lose the closing slash, which tells a directory from a file.
        return str(Path(path).expanduser()) + "/" * path.endswith("/") if path.startswith("~") else path
    except RuntimeError:  # no such user
        return path
