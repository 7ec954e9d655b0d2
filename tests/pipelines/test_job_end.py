"""How a job ended, in a sentence and as what an orchestrator may keep."""

from __future__ import annotations

import json
from typing import Any

import pytest
from smspartner_pipelines.exit_codes import MEANINGS, ExitCode
from smspartner_pipelines.job_end import JobEnd


def report(verdicts: dict[str, str], **facts: Any) -> dict[str, Any]:
    """Make a run report of tags with verdicts."""
    counts = {"rows_quarantined": 0, "delivered": 1, "waiting": 0, "reason": "as told"}
    return {
        "run_id": "R",
        "seconds": 1.0,
        "failure": None,
        "tags": [{"tag": tag, "verdict": verdict, **counts} for tag, verdict in verdicts.items()],
        "totals": {"tags": len(verdicts), "rows_loaded": 1},
        "not_reached": [],
        "validation": {"success": True},
        "destinations": [{"uri": "data", "failure": None}],
    } | facts


@pytest.mark.parametrize("code", [*map(int, ExitCode), -9, 127])
def test_every_exit_code_has_a_sentence_and_a_decision(code: int) -> None:
    """Each exit code is either success, worth another try, or final; what kills a process is worth another try."""
    ended = JobEnd(code, None)
    expected = {0: False, 2: False, 4: False, 5: False}
    assert ended.try_again is expected.get(code, True)
    assert ended.sentence.startswith(f"exit code {code}: ")
    if code in set(ExitCode):
        assert MEANINGS[ExitCode(code)].split(" (")[0] in ended.sentence
    else:
        assert {-9: "signal 9", 127: "not `smspartner`"}[code] in ended.sentence


def test_thousands_of_tags_do_not_fill_the_orchestrators_database() -> None:
    """A summary names the first hundred tags that are not complete, and counts all."""
    ended = JobEnd(3, report({f"t{n}": "failed" for n in range(5000)} | {"fine": "complete"}))
    summary = ended.summary()
    assert (len(summary["not_complete"]), summary["tags_not_complete"]) == (100, 5000)
    assert summary["verdicts"] == {"failed": 5000, "complete": 1}
    assert len(json.dumps(summary)) < 20_000
    assert ended.sentence.endswith("t4 (failed) and 4995 more")


def test_a_sentence_names_what_failed() -> None:
    """A destination that failed and tags that were not reached are in the sentence."""
    destinations = [{"uri": "data", "failure": None}, {"uri": "lake", "failure": "disk full"}]
    ended = JobEnd(1, report({"a": "complete"}, destinations=destinations, not_reached=["b", "c"]))
    assert ended.sentence.endswith("lake: disk full; 2 tags were not reached")
    assert ended.summary()["tags_not_reached"] == 2
