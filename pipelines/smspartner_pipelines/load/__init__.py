"""Destinations by their URIs: each kind imports what it needs, and not before."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from smspartner.errors import SettingsError

from smspartner_pipelines.load.uris import check_each_once, learn_secrets, mask_secrets, recognise, secrets_in

if TYPE_CHECKING:
    from smspartner_pipelines.load.destination import Destination

__all__ = ["check_each_once", "learn_secrets", "mask_secrets", "open_destination", "secrets_in"]

_SESSIONS = {
    "duckdb": ("duckdb", "DuckdbSession", "duckdb"),
    "postgresql": ("postgresql", "PostgresqlSession", "postgres"),
}
"""Module, class and extra of each kind of SQL database."""


def open_destination(uri: str) -> Destination:
    """Return the destination that `uri` names; nothing is touched before it is checked or opened.

    `DIR` or `parquet:DIR` is a dataset, as is `s3://BUCKET/PREFIX` and its like; `FILE.parquet`, `FILE.csv`,
    `FILE.csv.gz` and `FILE.xlsx` are exports, `-` is CSV on standard output. `file://` and `~` are understood.

    Raises:
        SettingsError: `uri` names nothing that this version loads into, or what that needs is not installed.
    """
    learn_secrets(uri)
    kind, place = recognise(uri)
    shown = mask_secrets(uri)
    if kind == ".xlsx":
        return _needing("xlsx", "Workbook", "excel")(place, shown)  # type: ignore[no-any-return]
    if kind == "delta":
        return _needing("delta", "Lake", "delta")(place, shown)  # type: ignore[no-any-return]
    if kind in _SESSIONS:
        from smspartner_pipelines.load.sql_warehouse import SqlWarehouse

        return SqlWarehouse(_needing(*_SESSIONS[kind])(place, shown))
    if kind in {"dataset", "objects"}:
        from smspartner_pipelines.load.dataset import Dataset
        from smspartner_pipelines.load.folder import LocalFiles

        files = LocalFiles if kind == "dataset" else _needing("object_files", "ObjectFiles", "s3")
        return Dataset(files(place), shown)
    from smspartner_pipelines.load.export import Export, StdoutExport

    return StdoutExport() if kind == "-" else Export(place, shown)


def _needing(module: str, name: str, extra: str) -> Any:
    """Import a class of this package that needs the libraries of an extra.

    Raises:
        SettingsError: they are not installed.
    """
    try:
        return getattr(import_module(f"{__name__}.{module}"), name)
    except ModuleNotFoundError as exc:
        missing = exc.name
    raise SettingsError(f"that destination needs {missing}", remedy=f"pip install 'smspartner-connector[{extra}]'")
