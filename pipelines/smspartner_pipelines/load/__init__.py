"""Destinations by their URIs: one function opens each kind, and imports what it needs, and not before."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from smspartner.errors import SettingsError

from smspartner_pipelines.load.uris import learn_secrets, mask_secrets, recognise, same_place, secrets_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from smspartner_pipelines.load.destination import Destination
    from smspartner_pipelines.load.warehouse import Tables

__all__ = ["learn_secrets", "mask_secrets", "open_destination", "same_place", "secrets_in"]


def open_destination(uri: str) -> Destination:
    """Return the destination that `uri` names; nothing is touched before it is checked or opened.

    `DIR` or `parquet:DIR` is a dataset, as is `s3://BUCKET/PREFIX` and its like; `FILE.parquet`, `FILE.csv` and
    `FILE.csv.gz` are exports, `-` is CSV on standard output. `file://` and `~` are understood.

    Raises:
        SettingsError: `uri` names nothing that this version loads into, or what that needs is not installed.
    """
    learn_secrets(uri)
    kind, place = recognise(uri)
    return _OPENERS[kind](place, mask_secrets(uri))


def _dataset(place: str, shown: str) -> Destination:
    from smspartner_pipelines.load.dataset import Dataset
    from smspartner_pipelines.load.folder import LocalFiles

    return Dataset(LocalFiles(place), shown)


def _objects(uri: str, shown: str) -> Destination:
    from smspartner_pipelines.load.dataset import Dataset

    return Dataset(_needing("s3", "object_files").ObjectFiles(uri), shown)


def _export(place: str, shown: str) -> Destination:
    from smspartner_pipelines.load.export import Export

    return Export(place, shown)


def _stdout(place: str, shown: str) -> Destination:  # noqa: ARG001
    from smspartner_pipelines.load.export import StdoutExport

    return StdoutExport()


def _workbook(place: str, shown: str) -> Destination:  # noqa: ARG001
    raise SettingsError(f"this version writes no workbook like {shown}", remedy="name a .csv or .parquet file")


def _delta(place: str, shown: str) -> Destination:
    return _warehouse(_needing("delta", "delta").DeltaTables(place, where=shown))


def _duckdb(place: str, shown: str) -> Destination:
    return _warehouse(_needing("duckdb", "duckdb").DuckdbTables(place, where=shown))


def _postgresql(uri: str, shown: str) -> Destination:
    return _warehouse(_needing("postgres", "postgresql").PostgresqlTables(uri, where=shown))


def _warehouse(tables: Tables) -> Destination:
    from smspartner_pipelines.load.warehouse import Warehouse

    return Warehouse(tables)


_OPENERS: dict[str, Callable[[str, str], Destination]] = {
    "dataset": _dataset,
    "objects": _objects,
    "delta": _delta,
    "duckdb": _duckdb,
    "postgresql": _postgresql,
    "-": _stdout,
    **dict.fromkeys((".parquet", ".csv", ".csv.gz"), _export),
    ".xlsx": _workbook,
}
"""By the kinds of `recognise`; each gets the place and the URI as it may be shown."""


def _needing(extra: str, module: str) -> Any:
    """Import a module of this package that needs the libraries of an extra.

    Raises:
        SettingsError: they are not installed.
    """
    try:
        return import_module(f"{__name__}.{module}")
    except ModuleNotFoundError as exc:
        missing = exc.name
    raise SettingsError(f"that destination needs {missing}", remedy=f"pip install 'smspartner-connector[{extra}]'")
