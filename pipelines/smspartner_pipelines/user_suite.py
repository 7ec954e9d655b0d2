"""The user's own expectations, read from Great Expectations' JSON without importing that library."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smspartner.errors import SettingsError
from smspartner.redaction import REDACT
from smspartner_schemas.expectations import suite

ROW_LOCAL = frozenset(
    {
        "expect_column_pair_values_a_to_be_greater_than_b",
        "expect_column_pair_values_to_be_equal",
        "expect_column_pair_values_to_be_in_set",
        "expect_column_value_lengths_to_be_between",
        "expect_column_value_lengths_to_equal",
        "expect_column_values_to_be_between",
        "expect_column_values_to_be_dateutil_parseable",
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_be_json_parseable",
        "expect_column_values_to_be_null",
        "expect_column_values_to_match_json_schema",
        "expect_column_values_to_match_regex",
        "expect_column_values_to_match_regex_list",
        "expect_column_values_to_match_strftime_format",
        "expect_column_values_to_not_be_in_set",
        "expect_column_values_to_not_be_null",
        "expect_column_values_to_not_match_regex",
        "expect_column_values_to_not_match_regex_list",
        "expect_multicolumn_sum_to_equal",
        "expect_multicolumn_values_to_be_equal",
        "expect_select_column_values_to_be_unique_within_record",
    }
)
"""Expectations that judge each row by itself. What is not listed is judged tag by tag: right, if slower."""

# They could put values, and so phone numbers, into the results; how results look is ours to say.
_NOT_TAKEN = frozenset({"result_format", "catch_exceptions"})


@dataclass(frozen=True)
class UserSuite:
    """The user's suite: its `name`, and its `expectations`, each with `type`, `kwargs` and `meta` with its `rule`."""

    name: str
    expectations: tuple[dict[str, Any], ...]


def load_user_suite(path: Path | str) -> UserSuite:
    """Read a suite in the format that Great Expectations 1.x writes.

    An expectation is named by the `rule` in its `meta`, else `expectation_N_TYPE`, counted from 1. Ids and result
    formats are left out. `severity` changes nothing: every expectation counts.

    Raises:
        SettingsError: the file can't be read, is no JSON, or is no such suite.
    """
    document = _json(Path(path))
    if not isinstance(document, dict) or not isinstance(document.get("expectations"), list):
        raise SettingsError(
            f"{path} is no suite as Great Expectations 1.x writes it: it must be "
            '{"name": "…", "expectations": [{"type": "expect_…", "kwargs": {…}}]}'
        )
    entries = [_entry(entry, number, path) for number, entry in enumerate(document["expectations"], 1)]
    _check_names([entry["meta"]["rule"] for entry in entries], path)
    return UserSuite(str(document.get("name") or Path(path).stem), tuple(entries))


def _json(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if REDACT.finds(text):  # names of rules go into tables and reports
            raise SettingsError(f"the suite {path} holds the API key or another secret: take it out")
        return json.loads(text)
    except OSError as error:
        raise SettingsError(f"can't read the suite {path}: {error.strerror}; check the path") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{path} is no suite: it is no JSON ({error}); check the file") from error


def _entry(entry: Any, number: int, path: Path | str) -> dict[str, Any]:
    """Return the expectation with what is taken of it, its name in `meta`."""
    place = f"expectation {number} of the suite {path}"
    if isinstance(entry, dict) and "expectation_type" in entry:
        raise SettingsError(f'{place} is in the format of Great Expectations 0.x: write "type", not "expectation_type"')
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        raise SettingsError(
            f'{place} has no "type"; write, for example, "type": "expect_table_row_count_to_be_between"'
        )
    kwargs, meta = entry.get("kwargs") or {}, entry.get("meta") or {}
    if not isinstance(kwargs, dict) or not isinstance(meta, dict):
        raise SettingsError(f'{place}: "kwargs" and "meta" must be JSON objects')
    rule = meta.get("rule") or f"expectation_{number}_{entry['type']}"
    kwargs = {key: value for key, value in kwargs.items() if key not in _NOT_TAKEN}
    return {"type": entry["type"], "kwargs": kwargs, "meta": {"rule": str(rule)}}


def _check_names(rules: list[str], path: Path | str) -> None:
    taken = Counter([*rules, *(entry["meta"]["rule"] for entry in suite()["expectations"])])
    twice = sorted(rule for rule in set(rules) if taken[rule] > 1)
    if twice:
        raise SettingsError(
            f"the suite {path} gives a name that is taken: {', '.join(twice)}; "
            'the "rule" in "meta" must differ from all others, and from the contract\'s'
        )
