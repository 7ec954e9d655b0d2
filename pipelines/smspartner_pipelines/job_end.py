"""How a job ended: its exit code and its run report become what an orchestrator may keep and decide on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from smspartner_schemas.contract import ACCEPTED

from smspartner_pipelines.exit_codes import MEANINGS, ExitCode

_FOR_GOOD = frozenset({ExitCode.WRONG_SETTINGS, ExitCode.ROWS_IN_QUARANTINE, ExitCode.REFUSED})
_LONGEST_LIST = 100
"""Tags that a summary names; the run report, which is kept with what was loaded, names all."""
_NAMED = 5
"""Tags that a sentence names."""


@dataclass(frozen=True)
class JobEnd:
    """The end of a job.

    `exit_code` is negative if a signal killed the process. `report` is the run report, None if there is none. `errors`
    are the lines in which the command said what went wrong. None of them holds a secret or a phone number.
    """

    exit_code: int
    report: dict[str, Any] | None
    errors: tuple[str, ...] = ()

    @property
    def try_again(self) -> bool:
        """Whether the same job, tried again, may end better; what it has loaded stays."""
        return self.exit_code != ExitCode.OK and self.exit_code not in _FOR_GOOD

    @property
    def tags(self) -> list[dict[str, Any]]:
        """The rows of `tag_runs`: what became of each tag."""
        return list(self.report["tags"]) if self.report else []

    @property
    def not_complete(self) -> list[dict[str, Any]]:
        """Tag, verdict and reason of the tags that are neither complete, unknown nor skipped."""
        names = ("tag", "verdict", "reason")
        return [{name: row[name] for name in names} for row in self.tags if row["verdict"] not in ACCEPTED]

    @property
    def not_reached(self) -> list[str]:
        """Tags that a run which ended early says nothing about."""
        return list(self.report["not_reached"]) if self.report else []

    @property
    def sentence(self) -> str:
        """Say how it ended, with the first of the tags that are not complete."""
        told = "; ".join(self._told())
        return f"exit code {self.exit_code}: {told}"

    def _told(self) -> Iterator[str]:
        yield (self.report or {}).get("failure") or self._meaning()
        if not self.report:
            yield from self.errors[-1:]
        failed = [one for one in (self.report or {}).get("destinations", ()) if one["failure"]]
        yield from (f"{one['uri']}: {one['failure']}" for one in failed)
        if self.not_complete:
            named = ", ".join(f"{row['tag']} ({row['verdict']})" for row in self.not_complete[:_NAMED])
            more = len(self.not_complete) - _NAMED
            yield named + (f" and {more} more" if more > 0 else "")
        if self.not_reached:
            yield f"{len(self.not_reached)} tags were not reached"

    def _meaning(self) -> str:
        if self.exit_code < 0:
            return f"the process was ended by signal {-self.exit_code}"
        known = self.exit_code in set(ExitCode)
        return MEANINGS[ExitCode(self.exit_code)].replace("`", "") if known else "the command is not `smspartner`"

    def summary(self) -> dict[str, Any]:
        """Give what an orchestrator may keep: counts and verdicts, names of tags, and neither numbers nor keys."""
        ended = {"exit_code": self.exit_code, "meaning": self.sentence.partition(": ")[2]}
        if not self.report:
            return {**ended, "run_id": None}
        return {
            **ended,
            "run_id": self.report["run_id"],
            "seconds": self.report["seconds"],
            "verdicts": dict(Counter(row["verdict"] for row in self.tags)),
            **self.report["totals"],
            "delivered": sum(row["delivered"] for row in self.tags),
            "waiting": sum(row["waiting"] for row in self.tags),
            "not_complete": self.not_complete[:_LONGEST_LIST],
            "tags_not_complete": len(self.not_complete),
            "tags_not_reached": len(self.not_reached),
            "valid": self.report["validation"].get("success"),
            "destinations": [one["uri"] for one in self.report["destinations"]],
        }
