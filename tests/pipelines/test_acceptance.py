"""Validation applied to snapshots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from smspartner_pipelines.acceptance import ContractOnly, GreatExpectations, make_acceptance
from smspartner_pipelines.batches import BATCH_ROWS


def test_contract_only(snapshot: Any, settings: Any) -> None:
    """`--validate contract` changes nothing, takes tags one by one, and says so in the report."""
    acceptance = make_acceptance(settings(validate="contract"))
    assert isinstance(acceptance, ContractOnly)
    batch = [snapshot("a"), snapshot("b", verdict="failed")]
    acceptance.expect_rows()
    assert batch == list(acceptance.judge(batch))
    assert (*(acceptance.batch_rows, acceptance.results()),) == (
        0,
        {"validate": "contract", "success": True, "note": "Great Expectations was skipped, as asked for"},
    )


def test_great_expectations(tmp_path: Path, snapshot: Any, settings: Any) -> None:
    """Failing rows go to quarantine with the rule's name, a tag that fails as a whole is refused, the rest is left."""
    suite = tmp_path / "mine.json"
    expectations = [
        {
            "type": "expect_column_values_to_not_be_in_set",
            "kwargs": {"column": "status", "value_set": ["ko"]},
            "meta": {"rule": "no_ko"},
        },
        {
            "type": "expect_table_row_count_to_be_between",
            "kwargs": {"max_value": 8},
            "meta": {"rule": "few"},
        },
    ]
    suite.write_text(json.dumps({"name": "mine", "expectations": expectations}), encoding="utf-8")
    acceptance = make_acceptance(settings(expectations=str(suite)))
    assert isinstance(acceptance, GreatExpectations)
    acceptance.expect_rows()
    batch = [snapshot("a", 4), snapshot("b", verdict="failed", reason="why"), snapshot("c", 9), snapshot("d", 1)]
    judged = list(acceptance.judge(batch))
    assert [(one.tag, one.verdict, one.table.num_rows, one.quarantine.num_rows) for one in judged] == [
        ("a", "complete", 3, 1),
        ("b", "failed", 0, 0),
        ("c", "failed", 0, 0),
        ("d", "complete", 1, 0),
    ]
    assert judged[0].quarantine["reasons"].to_pylist() == [["no_ko"]]
    assert [judged[1].reason, judged[2].reason] == ["why", "the tag fails few"]
    results = acceptance.results()
    assert tuple(results[name] for name in ("validate", "success", "batches", "tags", "rows")) == (
        "gx",
        False,
        1,
        3,
        14,
    )
    assert acceptance.batch_rows == BATCH_ROWS
    assert list(acceptance.judge([])) == []
