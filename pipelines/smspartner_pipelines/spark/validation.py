"""Great Expectations on a frame of Spark: the contract's suite, evaluated where the rows are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smspartner_schemas.contract import PhoneForm
from smspartner_schemas.rules import suite

from smspartner_pipelines.gx import Engine

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Validated:
    """What Great Expectations says of rows of `statuses`; no value of a row is part of it.

    `failed` counts, by the name of each rule that is broken, the rows that break it; None where the rule judges the
    frame as a whole. `rules` names all that were judged.
    """

    failed: Mapping[str, int | None]
    rules: tuple[str, ...]
    great_expectations_version: str

    @property
    def success(self) -> bool:
        """Whether no rule is broken."""
        return not self.failed


def validate(frame: DataFrame, phone_numbers: PhoneForm = "plain") -> Validated:
    """Judge rows of `statuses` by the contract's suite, the one that judges every run.

    Give what was loaded, not the source itself, which each of the suite's queries would read anew. `phone_numbers` is
    the form they are kept in.

    Raises:
        ValidationBroken: an expectation could not be evaluated.
    """
    engine = Engine("spark")
    columns, *others = suite(phone_numbers)["expectations"]
    kept = frame.storageLevel.useDisk or frame.storageLevel.useMemory
    try:
        failed = _failed(engine, frame, [columns])
        asked = [columns] if failed else [columns, *others]  # of columns that are not there, nothing can be said
        failed = failed or _failed(engine, frame, others)
    finally:
        if not kept:
            frame.unpersist()  # the library keeps what it judges
    return Validated(failed, tuple(entry["meta"]["rule"] for entry in asked), engine.version)


def _failed(engine: Engine, frame: DataFrame, entries: list[dict[str, dict[str, str]]]) -> dict[str, int | None]:
    built = [engine.build(str(entry["type"]), entry["kwargs"], entry["meta"]["rule"]) for entry in entries]
    return {verdict.rule: verdict.count for verdict in engine.counted(frame, built)}
