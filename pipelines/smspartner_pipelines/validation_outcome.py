"""What a validation of loaded rows found: counts and names, no value of a row; as a document, and as an exit code."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from smspartner.snapshot import new_run_id
from smspartner_schemas.contract import STATUSES

from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.gx_result import SuiteResult, Words, hide_numbers_but_dates
from smspartner_pipelines.loaded_rows import ReadTag
from smspartner_pipelines.report import versions
from smspartner_pipelines.tag_checks import TAG_RULES
from smspartner_pipelines.validation import Tally

KIND = "smspartner validation"
"""What the documents call themselves."""


@dataclass(frozen=True)
class Finding:
    """A rule that a tag breaks: in how many rows, or (None) as a whole; `note` says what was found there."""

    tag: str
    rule: str
    rows: int | None = None
    note: str = ""


@dataclass
class ValidationOutcome:
    """What was found; filled while the work goes on, then closed."""

    destination: str
    user_suite: str | None = None
    run_id: str = field(default_factory=new_run_id)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    findings: list[Finding] = field(default_factory=list)
    totals: Counter[str] = field(default_factory=Counter)
    phone_numbers: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    _tallies: dict[str, Tally] = field(default_factory=dict)
    _native: Counter[str] = field(default_factory=Counter)
    _began: float = field(default_factory=time.monotonic)

    def note_tag(self, read: ReadTag) -> None:
        """Note a tag that was read, and what is wrong with it as a whole."""
        state = read.state
        self.totals.update(
            tags=1, rows=read.rows.num_rows, quarantined=state.rows_quarantined, erased=len(state.erased_places)
        )
        self.phone_numbers[state.phone_numbers.partition(":")[0]] += 1
        self.findings += [Finding(state.tag, rule, note=note) for rule, note in read.troubles.items()]

    def note_rows(self, failing: int) -> None:
        """Note so many rows that break something."""
        self.totals["rows_failed"] += failing

    def add(self, tallies: Sequence[Tally], native: Counter[str]) -> None:
        """Add what was judged of rows whose numbers are in one form; an expectation may be one for all forms."""
        for judged in tallies:
            tally = judged
            key = json.dumps([tally.entry["meta"]["rule"], tally.entry["kwargs"]], default=str)
            known = self._tallies.get(key)
            if known is not None:
                tally = replace(tally, counted=known.counted + tally.counted, trouble=known.trouble or tally.trouble)
            self._tallies[key] = tally
        self._native.update(native)

    def close(self) -> None:
        """Say that nothing more will come."""
        self.seconds = time.monotonic() - self._began

    @property
    def tallies(self) -> list[Tally]:
        """The expectations, the contract's first, those of one rule together."""
        return sorted(self._tallies.values(), key=lambda tally: tally.by_user)

    @property
    def disagreeing(self) -> list[str]:
        """The contract's rules of which the native check and Great Expectations count different rows: a bug."""
        judged: Counter[str] = Counter()
        for tally in self.tallies:
            if not tally.by_user:
                judged[tally.entry["meta"]["rule"]] += tally.counted["rows_failed"]
        return sorted(name for name in {*self._native, *+judged} if self._native[name] != judged[name])

    @property
    def exit_code(self) -> ExitCode:
        """How the command ends: 4 where rows can't be believed, 1 where that could not be told of all."""
        if self.findings or self.disagreeing:
            return ExitCode.ROWS_IN_QUARANTINE
        return ExitCode.NOT_DONE if any(tally.trouble for tally in self.tallies) else ExitCode.OK

    def document(self) -> dict[str, Any]:
        """Give all of it as plain values for JSON and pages; whatever may be a phone number in names is hidden."""
        tallies = self.tallies
        result = SuiteResult(tallies, STATUSES.name, self.run_id, self.started_at)
        tags = Counter(finding.rule for finding in self.findings)
        expectations = [_told(tally, words, tags) for tally, words in zip(tallies, result.words(), strict=True)]
        return {
            "kind": KIND,
            "run_id": self.run_id,
            "success": self.exit_code is ExitCode.OK,
            "exit_code": int(self.exit_code),
            "started_at": f"{self.started_at:%Y-%m-%dT%H:%M:%SZ}",
            "seconds": round(self.seconds, 3),
            "destination": self.destination,
            "user_suite": self.user_suite and hide_numbers_but_dates(self.user_suite),
            **{name: self.totals[name] for name in ("tags", "rows", "rows_failed", "quarantined", "erased")},
            "tags_failed": len({finding.tag for finding in self.findings}),
            "phone_numbers": dict(self.phone_numbers),
            "expectations_judged": sum(one["evaluated"] for one in expectations),
            "expectations_failed": sum(not one["success"] for one in expectations if one["evaluated"]),
            "expectations_not_evaluated": sum(not one["evaluated"] for one in expectations),
            "expectations": expectations,
            "tag_rules": [
                {"rule": rule, "meaning": meaning, "success": not tags[rule], "tags_failed": tags[rule]}
                for rule, meaning in TAG_RULES.items()
            ],
            "native_check_disagrees": self.disagreeing,
            "findings": list(self._findings()),
            "versions": versions() | {"great-expectations": result.version},
            "great_expectations": result.document(),
        }

    def _findings(self) -> Iterator[dict[str, Any]]:
        """Give the findings: what tags fail as a whole first, then by how many rows."""
        for finding in sorted(self.findings, key=lambda one: (one.rows is not None, -(one.rows or 0), one.tag)):
            yield asdict(finding) | {"rule": hide_numbers_but_dates(finding.rule)}


def _told(tally: Tally, words: Words, tags: Counter[str]) -> dict[str, Any]:
    counted, rule = tally.counted, tally.entry["meta"]["rule"]
    names = ("rows_checked", "rows_failed", "tags_checked")
    return {
        "rule": hide_numbers_but_dates(rule),
        "suite": "user" if tally.by_user else "contract",
        "expectation": tally.entry["type"],
        "sentence": words.sentence,
        "remark": words.remark,
        "observed": words.observed,
        "evaluated": not tally.trouble,
        "success": not (tally.trouble or counted["rows_failed"] or counted["tags_failed"]),
        **{name: counted[name] for name in names},
        "tags_failed": tags[rule] if counted["rows_failed"] or counted["tags_failed"] else 0,
    }
