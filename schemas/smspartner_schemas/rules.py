"""The row rules, derived from the contract's columns, and the Great Expectations suite that says the same.

Each rule is one object with its check on Arrow, column-wise and without a Python object per row, and its expectation
as the JSON that Great Expectations reads. Nothing of that library is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from smspartner_schemas.contract import CONTRACT_VERSION, PHONE_PATTERNS, STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from smspartner_schemas.contract import Column, PhoneForm, Table

Mask: TypeAlias = npt.NDArray[np.bool_]

WHITE_SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""What Python's `\\s` matches, as the inside of a character class that RE2, Python and Java read alike."""

END = r"(?![\s\S])"
"""The end of the text in Python and Java, whose `$` lets a trailing line break pass; RE2 knows no such assertion."""

COLUMNS_RULE, KEY_RULE = "columns_in_order", "primary_key_unique"
"""The rules of the table as a whole: the contract's columns in order, and no two rows that agree in the primary key."""


@dataclass(frozen=True)
class ColumnRule:
    """A rule that looks at one column; a null passes every rule but `NotNull`."""

    column: str
    suffix: ClassVar[str]
    kind: ClassVar[str]

    @property
    def name(self) -> str:
        """The rule's name, which is stable: reports and reasons are keyed by it."""
        return f"{self.column}_{self.suffix}"

    def violations(self, table: pa.Table) -> Mask:
        """Return one bool per row of `table`: true where the row breaks the rule."""
        chunks = (chunk for chunk in table.column(self.column).chunks if len(chunk))
        parts = [self._chunk_mask(chunk) for chunk in chunks]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=bool)

    def expectation(self) -> dict[str, Any]:
        """Return the expectation that says the same: `type`, `kwargs`, and `meta` with the rule's name."""
        return {"type": self.kind, "kwargs": {"column": self.column, **self._kwargs()}, "meta": {"rule": self.name}}

    def _wrong(self, values: pa.Array) -> pa.Array:
        """Return which values break the rule; null where the value is null and passes."""
        raise NotImplementedError

    def _kwargs(self) -> dict[str, Any]:
        return {}

    def _chunk_mask(self, chunk: pa.Array) -> Mask:
        if not isinstance(chunk, pa.DictionaryArray):
            return _numpy(self._wrong(chunk))
        # The words of the dictionary and a null are judged, and the rows look up theirs: few words stand for many rows.
        words = pa.concat_arrays([chunk.dictionary, pa.nulls(1, chunk.dictionary.type)])
        wrong = _numpy(self._wrong(words))
        if not wrong.any():
            return np.zeros(len(chunk), dtype=bool)
        mask: Mask = wrong[np.asarray(pc.fill_null(chunk.indices, len(words) - 1))]
        return mask


class NotNull(ColumnRule):
    """The column has a value."""

    suffix = "not_null"
    kind = "expect_column_values_to_not_be_null"

    def _wrong(self, values: pa.Array) -> pa.Array:
        return pc.is_null(values)


@dataclass(frozen=True)
class InSet(ColumnRule):
    """The value is one of `allowed`."""

    allowed: tuple[str, ...]
    suffix = "in_set"
    kind = "expect_column_values_to_be_in_set"

    def _wrong(self, values: pa.Array) -> pa.Array:
        return pc.invert(pc.is_in(values, pa.array([*self.allowed, None], pa.string())))

    def _kwargs(self) -> dict[str, Any]:
        return {"value_set": list(self.allowed)}


@dataclass(frozen=True)
class Matches(ColumnRule):
    r"""The whole value matches `pattern`, in which `\S` means what it means in Python: no white space of any script."""

    pattern: str
    suffix = "matches"
    kind = "expect_column_values_to_match_regex"

    @property
    def _body(self) -> str:
        return self.pattern.replace(r"\S", f"[^{WHITE_SPACE}]")

    def _wrong(self, values: pa.Array) -> pa.Array:
        return pc.invert(pc.match_substring_regex(values, f"^(?:{self._body})$"))

    def _kwargs(self) -> dict[str, Any]:
        return {"regex": f"^(?:{self._body}){END}"}


@dataclass(frozen=True)
class Between(ColumnRule):
    """The value is at least `minimum` and at most `maximum`, where they are given."""

    minimum: int | datetime | None = None
    maximum: int | datetime | None = None
    suffix = "between"
    kind = "expect_column_values_to_be_between"

    def _wrong(self, values: pa.Array) -> pa.Array:
        outside = pa.array(np.zeros(len(values), dtype=bool))
        if self.minimum is not None:
            outside = pc.or_(outside, pc.less(values, pa.scalar(self.minimum, values.type)))
        if self.maximum is not None:
            outside = pc.or_(outside, pc.greater(values, pa.scalar(self.maximum, values.type)))
        return outside

    def _kwargs(self) -> dict[str, Any]:
        bounds = {"min_value": self.minimum, "max_value": self.maximum}
        return {
            key: bound.isoformat() if isinstance(bound, datetime) else bound
            for key, bound in bounds.items()
            if bound is not None
        }


def column_rules(table: Table = STATUSES, phone_form: PhoneForm = "plain") -> tuple[ColumnRule, ...]:
    """Return the rules that look at one column each, column by column.

    `phone_form` is the form that `phone_number` is kept in.
    """
    return tuple(rule for column in table.columns for rule in _rules_of(column, phone_form))


def broken_rules(table: pa.Table, rules: Sequence[ColumnRule]) -> dict[str, npt.NDArray[np.int64]]:
    """Return the rules that rows of `table` break: rule name to the indices (int64, ascending) of its rows.

    Raises:
        KeyError: a column is missing.
        pyarrow.ArrowInvalid: a column has a type that the rule can't judge.
    """
    rows = {rule.name: np.flatnonzero(rule.violations(table)) for rule in rules}
    return {name: indices for name, indices in rows.items() if indices.size}


def suite(phone_form: PhoneForm = "plain") -> dict[str, Any]:
    """Return the Great Expectations suite of `statuses`: `name`, `expectations` and `meta`, as JSON holds them.

    `ExpectationSuite(**suite())` loads it. Each expectation has `type`, `kwargs`, and `meta` with its `rule`; dates
    are ISO 8601 with their offset (the library refuses dates without one). Column types are not part of it, since the
    library has no word for categoricals. That the primary key is unique is an expectation alone: of what is read it
    follows from how occurrences are counted.
    """
    columns = {
        "type": "expect_table_columns_to_match_ordered_list",
        "kwargs": {"column_list": list(STATUSES.column_names)},
        "meta": {"rule": COLUMNS_RULE},
    }
    unique = {
        "type": "expect_compound_columns_to_be_unique",
        "kwargs": {"column_list": list(STATUSES.primary_key), "ignore_row_if": "never"},
        "meta": {"rule": KEY_RULE},
    }
    return {
        "name": STATUSES.name,
        "expectations": [columns, *(rule.expectation() for rule in column_rules(STATUSES, phone_form)), unique],
        "meta": {"contract_version": CONTRACT_VERSION, "phone_numbers": phone_form},
    }


def _rules_of(column: Column, phone_form: PhoneForm) -> Iterator[ColumnRule]:
    pattern = PHONE_PATTERNS[phone_form] if column.name == "phone_number" else column.pattern
    if not column.nullable:
        yield NotNull(column.name)
    if column.allowed:
        yield InSet(column.name, column.allowed)
    if pattern is not None:
        yield Matches(column.name, pattern)
    if column.minimum is not None or column.maximum is not None:
        yield Between(column.name, column.minimum, column.maximum)


def _numpy(wrong: pa.Array) -> Mask:
    return np.asarray(pc.fill_null(wrong, False), dtype=bool)
