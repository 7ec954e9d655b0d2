"""What `smspartner check` has found: one line each, and the exit code of the first failure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from smspartner_pipelines.exit_codes import ExitCode

Level = Literal["ok", "warn", "FAIL"]


@dataclass(frozen=True)
class Finding:
    """How one thing is; `told` says what to do about what is not fine, `code` is a failure's exit code."""

    level: Level
    what: str
    told: str
    code: ExitCode = ExitCode.OK

    def line(self) -> str:
        """Give the line for people."""
        return f"{self.level:<4}  {self.what}: {self.told}"

    def facts(self) -> dict[str, object]:
        """Give the same for programs."""
        return {name: value for name, value in asdict(self).items() if name != "code"}


def fine(what: str, told: str) -> Finding:
    """Say that a thing is fine."""
    return Finding("ok", what, told)


def warning(what: str, told: str) -> Finding:
    """Say that a thing may go wrong, which fails no check."""
    return Finding("warn", what, told)


def failure(what: str, told: str, code: ExitCode = ExitCode.WRONG_SETTINGS) -> Finding:
    """Say that a run would fail."""
    return Finding("FAIL", what, told, code)


def exit_code_of(findings: Iterable[Finding]) -> ExitCode:
    """Give the exit code of the first failure."""
    return next((finding.code for finding in findings if finding.level == "FAIL"), ExitCode.OK)
