"""The typed pandas frame of `statuses`, alike in pandas 2 (2.2 or later) and 3.

Categoricals, `str` (in pandas 2 its `object`), `int32`, `bool` and numpy-backed `datetime64[us, UTC]`: the native
dtypes that pandas and Great Expectations work on fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pandas as pd
import pyarrow as pa

from smspartner_schemas.arrow import arrow_type
from smspartner_schemas.contract import STATUSES

if TYPE_CHECKING:
    from smspartner_schemas.contract import Column

_NULLABLE = {"int32": pd.Int32Dtype, "bool": pd.BooleanDtype}


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return the rows of `statuses` in `table` as a pandas frame with the contract's dtypes, indexed from 0.

    `status` always has every word of the contract as categories, in the contract's order, so that frames concatenate
    without losing the dtype; words that break the contract follow. Other categoricals have the values that occur.
    Times are UTC. Zero rows give an empty frame with all columns and the same dtypes.

    A null where the contract allows none is kept as a null, for validation to find: the column then has pandas'
    nullable dtype (`Int32`, `boolean`).

    Raises:
        KeyError: a column is missing.
        pyarrow.ArrowInvalid: a column's values can't have the contract's type.
    """
    columns = {column.name: _series(column, table.column(column.name)) for column in STATUSES.columns}
    return pd.DataFrame(columns, copy=False)


def _series(column: Column, values: pa.ChunkedArray) -> pd.Series[Any]:
    if values.type != arrow_type(column):
        values = values.cast(arrow_type(column))
    if column.categorical:
        return _categorical(column, values)
    if values.null_count and column.type in _NULLABLE:
        return cast("pd.Series[Any]", values.to_pandas(types_mapper=lambda _: _NULLABLE[column.type]()))
    return cast("pd.Series[Any]", values.to_pandas())


def _categorical(column: Column, values: pa.ChunkedArray) -> pd.Series[Any]:
    if any(_ambiguous(chunk.dictionary) for chunk in values.chunks):
        values = values.cast(pa.string()).dictionary_encode()
    series = cast("pd.Series[Any]", values.to_pandas())
    found = list(series.cat.categories)
    categories = [*column.allowed, *(word for word in found if word not in column.allowed)]
    # Named even where nothing changes: the categories of zero rows would be objects, not `str`, in pandas 3.
    return series.cat.set_categories(pd.Index(categories, dtype="str"))


def _ambiguous(dictionary: pa.Array) -> bool:
    """Whether Arrow's dictionary says the same thing twice, or holds a null: pandas' categories can do neither."""
    return bool(dictionary.null_count) or len(dictionary.unique()) < len(dictionary)
