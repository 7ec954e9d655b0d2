"""Apache Spark: the tags of a run are read by its executors.

    SmsPartnerSource   the data source `smspartner`, for `spark.dataSource.register`
    run                read once, distributed, and load into any destination of this product
    split              statuses, quarantine and verdicts of one extraction
    validate           Great Expectations on what Spark loaded

Spark is imported when one of these is first used; `pip install 'smspartner-connector[spark]'` brings it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from smspartner.errors import SettingsError

if TYPE_CHECKING:
    from smspartner_pipelines.spark.running import run
    from smspartner_pipelines.spark.source import SmsPartnerSource
    from smspartner_pipelines.spark.tables import split
    from smspartner_pipelines.spark.validation import validate

__all__ = ["SmsPartnerSource", "run", "split", "validate"]

_HOMES = {"SmsPartnerSource": "source", "run": "running", "split": "tables", "validate": "validation"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'smspartner_pipelines.spark' has no attribute {name!r}")
    try:
        import_module("pyspark")
    except ModuleNotFoundError as exc:
        missing = exc.name
    else:
        return getattr(import_module(f"smspartner_pipelines.spark.{_HOMES[name]}"), name)
    raise SettingsError(f"Spark needs {missing}: pip install 'smspartner-connector[spark]'")
