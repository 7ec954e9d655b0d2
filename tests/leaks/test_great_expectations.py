"""Great Expectations sees every number, and passes none on: not in results, not in Data Docs, not in its logs."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

SUITE = {
    "name": "mine",
    "expectations": [
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "phone_number", "value_set": ["x"]}},
        {"type": "expect_column_values_to_not_match_regex", "kwargs": {"column": "phone_number", "regex": "^.33"}},
        {"type": "expect_column_value_lengths_to_equal", "kwargs": {"column": "phone_number", "value": 3}},
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "tag"}},
        {
            "type": "expect_column_distinct_values_to_be_in_set",
            "kwargs": {"column": "phone_number", "value_set": ["x"]},
        },
        {
            "type": "expect_column_most_common_value_to_be_in_set",
            "kwargs": {"column": "phone_number", "value_set": ["x"]},
        },
    ],
}
"""All of them fail on the numbers; the last two judge tags as a whole, with what they saw in their results."""
ROW_BY_ROW = 3


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


@pytest.mark.parametrize("judged", ["row by row", "tag by tag"])
def test_a_suite_that_fails_on_numbers(
    start_sandbox: Any, campaigns: Any, command: Any, leaks: Any, files: Any, here: Path, judged: str
) -> None:
    """At debug level, neither logs nor the report's validation nor `tag_runs` show a number or the key."""
    key, entries = leaks.keys[1], SUITE["expectations"]
    mine = entries[:ROW_BY_ROW] if judged == "row by row" else entries[ROW_BY_ROW:]
    (here / "mine.json").write_text(json.dumps({"name": "mine", "expectations": mine}))
    given = ("--validate", "gx", "--expectations", "mine.json", "--log-level", "debug", "--log-format", "json")
    ended = command(start_sandbox(campaigns, api_key=key).url, key, "run", "promo", "--to", "data", "--json", *given)
    told = {name: text for name, text in files().items() if not name.startswith(("data/statuses", "data/quarantine"))}
    outputs = {"stdout": ended.out, "stderr": ended.err, **told}
    report = json.loads(ended.out)
    failing = [check for check in report["validation"]["expectations"] if not check["success"]]
    assert {check["suite"] for check in failing} == {"user"}
    assert (leaks.of_keys(outputs), leaks.of_numbers(outputs)) == ([], [])


def test_data_docs(
    results: list[Any], start_sandbox: Any, campaigns: Any, command: Any, leaks: Any, here: Path
) -> None:
    """The library's own results of such a suite, as it prints them and as Data Docs show them, hold no number."""
    mine = {"name": "mine", "expectations": SUITE["expectations"][:ROW_BY_ROW]}  # type: ignore[index]
    (here / "mine.json").write_text(json.dumps(mine))
    sandbox = start_sandbox(campaigns)
    given = ("--to", "data", "--validate", "gx", "--expectations", "mine.json")
    assert command(sandbox.url, "sandbox-key", "run", "promo", "other", *given).code == 4
    renderers: Any = importlib.import_module("great_expectations.render.renderer.page_renderer")
    view: Any = importlib.import_module("great_expectations.render.view").DefaultJinjaPageView()
    columns = "expect_table_columns_to_match_ordered_list"  # of which GX can't render a result that is yes or no alone
    rendered = [result for result in results if columns not in {one.expectation_config.type for one in result.results}]
    pages = [view.render(renderers.ValidationResultsPageRenderer().render(result)) for result in rendered]
    told = {f"page {number}": page for number, page in enumerate(pages)}
    told |= {f"result {number}": f"{result!r}\n{result.to_json_dict()}" for number, result in enumerate(results)}
    assert any("phone_number" in page for page in pages)
    assert any(not result.success for result in results)
    assert leaks.of_numbers(told) == []
