"""The row rules: what may be believed of one row, derived from the contract's columns.

Each rule knows its native check on Arrow, column-wise and without a Python object per row, and the Great Expectations
expectation that says the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import PHONE_PATTERNS, STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from smspartner_schemas.contract import Column, PhoneForm, Table

Mask: TypeAlias = npt.NDArray[np.bool_]

WHITE_SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""What Python's `\\s` matches, as the inside of a character class that RE2, Python and Java read alike."""

END = r"(?![\s\S])"
"""The end of the text in Python and Java, whose `$` lets a trailing line break pass; RE2 knows no such assertion."""


class Rule(Protocol):
    """One row rule. `name` is stable: reports and quarantine reasons are keyed by it."""

    @property
    def name(self) -> str:
        """The rule's name."""
        ...

    def violations(self, table: pa.Table) -> Mask:
        """Return one bool per row of `table`: true where the row breaks the rule."""
        ...

    def expectation(self) -> dict[str, Any]:
        """Return the expectation that says the same: `type`, `kwargs` and `meta` with the rule's name."""
        ...


@dataclass(frozen=True)
class NotNull:
    """The column has a value."""

    column: str

    @property
    def name(self) -> str:
        """`<column>_not_null`."""
        return f"{self.column}_not_null"

    def violations(self, table: pa.Table) -> Mask:
        """Return true where the value is null."""
        return _mask(table.column(self.column), pc.is_null)

    def expectation(self) -> dict[str, Any]:
        """Return `expect_column_values_to_not_be_null`."""
        return _expectation("expect_column_values_to_not_be_null", self.name, column=self.column)


@dataclass(frozen=True)
class InSet:
    """The value is one of `allowed`; nulls pass."""

    column: str
    allowed: tuple[str, ...]

    @property
    def name(self) -> str:
        """`<column>_in_set`."""
        return f"{self.column}_in_set"

    def violations(self, table: pa.Table) -> Mask:
        """Return true where the value is not allowed."""
        allowed = pa.array([*self.allowed, None], pa.string())
        return _mask(table.column(self.column), lambda values: pc.invert(pc.is_in(values, allowed)))

    def expectation(self) -> dict[str, Any]:
        """Return `expect_column_values_to_be_in_set`."""
        kwargs = {"column": self.column, "value_set": list(self.allowed)}
        return _expectation("expect_column_values_to_be_in_set", self.name, **kwargs)


@dataclass(frozen=True)
class Matches:
    r"""The whole value matches `pattern`; nulls pass.

    `\S` means what it means in Python: no white space of any script.
    """

    column: str
    pattern: str

    @property
    def name(self) -> str:
        """`<column>_matches`."""
        return f"{self.column}_matches"

    @property
    def _body(self) -> str:
        return self.pattern.replace(r"\S", f"[^{WHITE_SPACE}]")

    def violations(self, table: pa.Table) -> Mask:
        """Return true where the value does not match as a whole."""
        regex = f"^(?:{self._body})$"
        return _mask(table.column(self.column), lambda values: pc.invert(pc.match_substring_regex(values, regex)))

    def expectation(self) -> dict[str, Any]:
        """Return `expect_column_values_to_match_regex`, whose regex Python and Java read alike."""
        kwargs = {"column": self.column, "regex": f"^(?:{self._body}){END}"}
        return _expectation("expect_column_values_to_match_regex", self.name, **kwargs)


@dataclass(frozen=True)
class Between:
    """The value is at least `minimum` and at most `maximum`, where they are given; nulls pass."""

    column: str
    minimum: int | datetime | None = None
    maximum: int | datetime | None = None

    @property
    def name(self) -> str:
        """`<column>_between`."""
        return f"{self.column}_between"

    def violations(self, table: pa.Table) -> Mask:
        """Return true where the value is out of bounds."""
        return _mask(table.column(self.column), self._outside)

    def _outside(self, values: pa.Array) -> pa.Array:
        outside = pa.array(np.zeros(len(values), dtype=bool))
        if self.minimum is not None:
            outside = pc.or_(outside, pc.less(values, pa.scalar(self.minimum, values.type)))
        if self.maximum is not None:
            outside = pc.or_(outside, pc.greater(values, pa.scalar(self.maximum, values.type)))
        return outside

    def expectation(self) -> dict[str, Any]:
        """Return `expect_column_values_to_be_between`; dates as ISO 8601 with their offset."""
        bounds = {"min_value": self.minimum, "max_value": self.maximum}
        kwargs = {
            key: bound.isoformat() if isinstance(bound, datetime) else bound
            for key, bound in bounds.items()
            if bound is not None
        }
        return _expectation("expect_column_values_to_be_between", self.name, column=self.column, **kwargs)


@dataclass(frozen=True)
class UniqueTogether:
    """The columns are the primary key: no two rows agree in all of them; null equals null."""

    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        """`primary_key_unique`."""
        return "primary_key_unique"

    def violations(self, table: pa.Table) -> Mask:
        """Return true for every row whose key another row has too."""
        keys = pa.table({name: _plain(table.column(name)) for name in self.columns})
        groups = keys.group_by(list(self.columns), use_threads=False).aggregate([([], "count_all")])
        mask = np.zeros(table.num_rows, dtype=bool)
        if groups.num_rows < table.num_rows:
            mask[self._repeated(keys)] = True
        return mask

    def _repeated(self, keys: pa.Table) -> npt.NDArray[np.int64]:
        rows = keys.append_column("_row", pa.array(np.arange(keys.num_rows)))
        groups = rows.group_by(list(self.columns)).aggregate([("_row", "list"), ("_row", "count")])
        repeated = groups.filter(pc.greater(groups["_row_count"], 1))["_row_list"]
        return np.asarray(repeated.combine_chunks().flatten(), dtype="int64")

    def expectation(self) -> dict[str, Any]:
        """Return `expect_compound_columns_to_be_unique`, which is told not to pass over rows of nulls."""
        kwargs = {"column_list": list(self.columns), "ignore_row_if": "never"}
        return _expectation("expect_compound_columns_to_be_unique", self.name, **kwargs)


def row_rules(table: Table = STATUSES, phone_form: PhoneForm = "plain") -> tuple[Rule, ...]:
    """Return the rules of `table`'s rows, column by column, the primary key last.

    `phone_form` is the form that `phone_number` is kept in.
    """
    return (*column_rules(table, phone_form), UniqueTogether(table.primary_key))


def column_rules(table: Table = STATUSES, phone_form: PhoneForm = "plain") -> tuple[Rule, ...]:
    """Return the rules that look at one column each; see `row_rules`."""
    return tuple(rule for column in table.columns for rule in _column_rules(column, phone_form))


def broken_rules(table: pa.Table, rules: Sequence[Rule]) -> dict[str, npt.NDArray[np.int64]]:
    """Return the rules that rows of `table` break: rule name to the indices (int64, ascending) of its rows.

    Raises:
        KeyError: a column is missing.
        pyarrow.ArrowInvalid: a column has a type that the rule can't judge; see `schema_problems`.
    """
    rows = {rule.name: np.flatnonzero(rule.violations(table)) for rule in rules}
    return {name: indices for name, indices in rows.items() if indices.size}


def schema_problems(table: pa.Table, contract: Table = STATUSES) -> list[str]:
    """Return what is wrong with the columns of `table`, one sentence each: missing, unknown, misplaced, mistyped.

    Nullability flags are no problem: `NotNull` judges the values.
    """
    schema = arrow_schema(contract)
    problems = [f"column {name} is missing" for name in schema.names if name not in table.column_names]
    problems += [f"column {name} is not in the contract" for name in table.column_names if name not in schema.names]
    if not problems and table.column_names != schema.names:
        problems.append(f"columns are in the order {', '.join(table.column_names)}")
    problems += [
        f"column {field.name} is {table.schema.field(field.name).type}, not {field.type}"
        for field in schema
        if field.name in table.column_names and table.schema.field(field.name).type != field.type
    ]
    return problems


def _column_rules(column: Column, phone_form: PhoneForm) -> Iterator[Rule]:
    pattern = PHONE_PATTERNS[phone_form] if column.name == "phone_number" else column.pattern
    if not column.nullable:
        yield NotNull(column.name)
    if column.allowed:
        yield InSet(column.name, column.allowed)
    if pattern is not None:
        yield Matches(column.name, pattern)
    if column.minimum is not None or column.maximum is not None:
        yield Between(column.name, column.minimum, column.maximum)


def _expectation(kind: str, rule: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs, "meta": {"rule": rule}}


def _mask(column: pa.ChunkedArray, judge: Callable[[pa.Array], pa.Array]) -> Mask:
    """Return `judge`'s verdict on each value as a mask; where it is null (the value was), the row passes."""
    parts = [_chunk_mask(chunk, judge) for chunk in column.chunks if len(chunk)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=bool)


def _chunk_mask(chunk: pa.Array, judge: Callable[[pa.Array], pa.Array]) -> Mask:
    if not isinstance(chunk, pa.DictionaryArray):
        return _numpy(judge(chunk))
    # The dictionary and a null are judged, and the rows take their verdict over: few values stand for many rows.
    words = pa.concat_arrays([chunk.dictionary, pa.nulls(1, chunk.dictionary.type)])
    verdicts = _numpy(judge(words))
    if not verdicts.any():
        return np.zeros(len(chunk), dtype=bool)
    mask: Mask = verdicts[np.asarray(pc.fill_null(chunk.indices, len(words) - 1))]
    return mask


def _numpy(verdicts: pa.Array) -> Mask:
    return np.asarray(pc.fill_null(verdicts, False), dtype=bool)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the column in a form that Arrow groups by: one dictionary for all chunks, or none."""
    if not pa.types.is_dictionary(column.type):
        return column
    if any(chunk.dictionary.null_count for chunk in column.chunks):
        return column.cast(column.type.value_type)
    return column.unify_dictionaries()
