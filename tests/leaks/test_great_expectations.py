"""Great Expectations sees every number, and passes none on: not in results, not in its logs."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

NUMBER, X = {"column": "phone_number"}, {"value_set": ["x"]}
SUITES = {
    "row by row": (
        {"type": "expect_column_values_to_be_in_set", "kwargs": NUMBER | X},
        {"type": "expect_column_values_to_not_match_regex", "kwargs": NUMBER | {"regex": "^.33"}},
        {"type": "expect_column_value_lengths_to_equal", "kwargs": NUMBER | {"value": 3}},
    ),
    "tag by tag": (
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "tag"}},
        {"type": "expect_column_distinct_values_to_be_in_set", "kwargs": NUMBER | X},
        {"type": "expect_column_most_common_value_to_be_in_set", "kwargs": NUMBER | X},
    ),
}
"""All of them fail on the numbers; those that judge tags as a whole have what they saw in their results."""


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The library's own result objects of every validation, as it gives them."""
    seen: list[Any] = []
    batch: Any = importlib.import_module("great_expectations.datasource.fluent.interfaces").Batch
    validate = batch.validate

    def recorded(self: Any, *args: Any, **named: Any) -> Any:
        seen.append(validate(self, *args, **named))
        return seen[-1]

    monkeypatch.setattr(batch, "validate", recorded)
    return seen


@pytest.mark.parametrize("judged", SUITES)
def test_a_suite_that_fails_on_numbers(
    results: list[Any],
    start_sandbox: Any,
    campaigns: Any,
    command: Any,
    leaks: Any,
    files: Any,
    here: Path,
    key: str,
    judged: str,
) -> None:
    """At debug level, neither logs, report and `tag_runs` nor the library's own results show a number."""
    (here / "mine.json").write_text(json.dumps({"name": "mine", "expectations": SUITES[judged]}))
    given = ("--validate", "gx", "--expectations", "mine.json", "--log-level", "debug", "--log-format", "json")
    ended = command(start_sandbox(campaigns, api_key=key).url, key, "run", "promo", "--to", "data", "--json", *given)
    kept = {name: text for name, text in files().items() if not name.startswith(("data/statuses", "data/quarantine"))}
    failing = [check for check in json.loads(ended.out)["validation"]["expectations"] if not check["success"]]
    assert {check["suite"] for check in failing} == {"user"}
    outputs = {"stdout": ended.out, "stderr": ended.err, **kept}
    if judged == "row by row":
        outputs |= {f"result {number}": f"{one!r}\n{one.to_json_dict()}" for number, one in enumerate(results)}
        assert "result 0" in outputs
    assert (leaks.of_keys(outputs), leaks.of_numbers(outputs)) == ([], [])
