"""The expectations of a validation: the contract's, and the user's own. Nothing of Great Expectations is imported."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smspartner.errors import SettingsError
from smspartner.redaction import REDACT, plain_text
from smspartner.small_files import read_small_file
from smspartner_schemas.contract import PhoneForm
from smspartner_schemas.rules import END, suite

_LARGEST_FILE = 10 * 1024 * 1024

_ROW_BY_ROW = frozenset(
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

# They could put values into the results; how results look is ours to say.
_NOT_TAKEN = frozenset({"result_format", "catch_exceptions"})


@dataclass(frozen=True)
class Expectation:
    """One expectation of the contract or the user: its type and arguments in Great Expectations' words.

    `rule` names it in reports and in the quarantine's reasons.
    """

    rule: str
    type: str
    kwargs: dict[str, Any]
    of_user: bool = False

    @property
    def row_by_row(self) -> bool:
        """Whether it judges each row by itself, so that it does not matter which tags are judged together."""
        return not self.of_user or (self.type in _ROW_BY_ROW and self.kwargs.get("mostly", 1) == 1)


def contract_expectations(phone_form: PhoneForm) -> list[Expectation]:
    r"""Give the contract's expectations, with a regex end that pandas hands to Arrow: `\Z`, five times as fast."""

    def fast(kwargs: dict[str, Any]) -> dict[str, Any]:
        return {key: value.replace(END, r"\Z") if key == "regex" else value for key, value in kwargs.items()}

    entries = suite(phone_form)["expectations"]
    return [Expectation(entry["meta"]["rule"], entry["type"], fast(entry["kwargs"])) for entry in entries]


def user_expectations(path: Path | str) -> list[Expectation]:
    """Read a suite in the JSON format that Great Expectations 1.x writes.

    An expectation is named by the `rule` in its `meta`, else `expectation_N_TYPE`, counted from 1. Ids and result
    formats are left out. `severity` changes nothing: every expectation counts.

    Raises:
        SettingsError: the file can't be read, is not JSON, or is not such a suite.
    """
    document = _json(Path(path))
    entries = document.get("expectations") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        remedy = 'write {"name": "…", "expectations": [{"type": "expect_…", "kwargs": {…}}]}'
        raise SettingsError(f"{path} is not a suite of Great Expectations 1.x", remedy=remedy)
    expectations = [_expectation(entry, f"expectation {n} of {path}", n) for n, entry in enumerate(entries, 1)]
    taken = Counter(one.rule for one in (*expectations, *contract_expectations("plain")))
    twice = sorted({one.rule for one in expectations if taken[one.rule] > 1})
    if twice:
        remedy = 'give each expectation a "rule" in "meta" that differs from all others, and from the contract\'s'
        raise SettingsError(f"names of rules in {path} are taken already: {', '.join(twice)}", remedy=remedy)
    return expectations


def _json(path: Path) -> Any:
    document, problem = None, ""
    try:
        document = json.loads(read_small_file(path, _LARGEST_FILE).decode("utf-8-sig"))
    except OSError as error:
        problem = f"can't be read: {error.strerror}"
    except (ValueError, RecursionError):
        problem = "is not JSON"
    if problem:
        raise SettingsError(f"the suite {path} {problem}", remedy="check the path and the file")
    if REDACT.finds(json.dumps(document, ensure_ascii=False)):  # names of rules go into tables and reports
        raise SettingsError(f"the suite {path} holds the API key or another secret", remedy="take it out")
    return document


def _expectation(entry: Any, where: str, number: int) -> Expectation:
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        raise SettingsError(f'{where} has no "type"', remedy='write "type": "expect_…", as 1.x names it')
    kwargs, meta = entry.get("kwargs") or {}, entry.get("meta") or {}
    if not isinstance(kwargs, dict) or not isinstance(meta, dict):
        raise SettingsError(f'{where}: "kwargs" and "meta" are not JSON objects', remedy="check the file")
    rule = plain_text(str(meta.get("rule") or f"expectation_{number}_{entry['type']}"))
    return Expectation(rule, entry["type"], {k: v for k, v in kwargs.items() if k not in _NOT_TAKEN}, of_user=True)
