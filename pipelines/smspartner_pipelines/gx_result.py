"""Great Expectations' own result, made of what was counted over all batches, and the library's own words for it.

The library could make neither: it judges one frame at a time, and its pages fetch styles and scripts from the network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any

from smspartner.redaction import MASK, hide_numbers, like_a_number

from smspartner_pipelines.gx import load_library, silenced
from smspartner_pipelines.validation import Tally

_DATE = r"(?:19|20|21)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME = r"[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?"
_DATE_AND_TIME = re.compile(rf"((?<![0-9+]){_DATE}(?:{_TIME})?(?![0-9]))")
_PARAMETER = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_QUOTE = "`"


@dataclass(frozen=True)
class Words:
    """What the library says of one expectation.

    `sentence` is what is expected, `remark` what was found instead (empty if nothing was), `observed` a word for it.
    Values within a sentence stand between backticks.
    """

    sentence: str
    remark: str
    observed: str


class SuiteResult:
    """The result of a suite as the library has it, and tells it."""

    def __init__(self, tallies: Sequence[Tally], name: str, run_id: str, at: datetime) -> None:
        load_library()
        core = import_module("great_expectations.core.expectation_validation_result")
        run = import_module("great_expectations.core.run_identifier").RunIdentifier(run_name=run_id, run_time=at)
        self.version: str = load_library().__version__
        self._tallies = tallies
        with silenced():
            self._results = [_one_result(core, tally) for tally in tallies]
        met = sum(result.success for result in self._results)
        self._suite = core.ExpectationSuiteValidationResult(
            success=met == len(tallies),
            results=self._results,
            suite_name=name,
            statistics={
                "evaluated_expectations": len(tallies),
                "successful_expectations": met,
                "unsuccessful_expectations": len(tallies) - met,
                "success_percent": 100 * met / len(tallies) if tallies else None,
            },
            meta={"great_expectations_version": self.version, "run_id": run},
        )

    def document(self) -> dict[str, Any]:
        """Return the library's own JSON document; of the user's arguments, whatever may be a phone number is hidden."""
        with silenced():
            found: dict[str, Any] = self._suite.to_json_dict()
        for one, tally in zip(found["results"], self._tallies, strict=True):
            if tally.by_user:
                one["expectation_config"] = _without_numbers(one["expectation_config"])
        return found

    def words(self) -> Iterator[Words]:
        """Say of each expectation what the library says of it."""
        content = "great_expectations.render.renderer.content_block.validation_results_table_content_block"
        renderer: Any = import_module(content).ValidationResultsTableContentBlockRenderer
        for result, tally in zip(self._results, self._tallies, strict=True):
            with silenced():
                _icon, told, observed = renderer.render([result]).to_json_dict()["table"][0]
            expected, *others = told if isinstance(told, list) else [told]
            hide = hide_numbers_but_dates if tally.by_user else str
            remarks = (block for block in others if block["content_block_type"] == "string_template")
            yield Words(_text(expected, hide), " ".join(_text(block, hide, "") for block in remarks), str(observed))


def hide_numbers_but_dates(text: str) -> str:
    """Hide whatever may be a phone number; a date as ISO 8601 writes it is none."""
    parts = _DATE_AND_TIME.split(text)
    return "".join(part if place % 2 else hide_numbers(part) for place, part in enumerate(parts))


def _one_result(core: Any, tally: Tally) -> Any:
    entry, counted = tally.entry, tally.counted
    configuration = import_module("great_expectations.expectations.expectation_configuration").ExpectationConfiguration
    config = configuration(type=entry["type"], kwargs=entry["kwargs"], meta={"rule": entry["meta"]["rule"]})
    rows, failed = counted["rows_checked"], counted["rows_failed"]
    result: dict[str, Any] = {"element_count": rows, "unexpected_count": failed}
    result["unexpected_percent"] = 100 * failed / rows if rows else 0.0
    if not failed and not _judges_rows(entry["type"]):
        result = {"observed_value": f"{counted['tags_failed']} of {counted['tags_checked']} tags fail"}
    told = tally.trouble and f"{tally.trouble.partition(';')[0]}"
    return core.ExpectationValidationResult(
        success=not (tally.trouble or failed or counted["tags_failed"]),
        expectation_config=config,
        result={} if tally.trouble else result,
        exception_info={
            "raised_exception": bool(told),
            "exception_message": told or None,
            "exception_traceback": told or None,
        },
    )


def _judges_rows(kind: str) -> bool:
    """Whether the library names rows, or counts them, where such an expectation fails."""
    classes: Any = import_module("great_expectations.expectations.expectation")
    registry: Any = import_module("great_expectations.expectations.registry")
    by_row = ("ColumnMapExpectation", "ColumnPairMapExpectation", "MulticolumnMapExpectation")
    return issubclass(registry.get_expectation_impl(kind), tuple(getattr(classes, name) for name in by_row))


def _text(block: Any, hide: Callable[[str], str], quote: str = _QUOTE) -> str:
    """Fill in the template of a block; the values stand between quotes, and are hidden as part of the whole."""
    template = block["string_template"]
    params = template.get("params") or {}

    def filled(match: re.Match[str]) -> str:
        value = params.get(match[1] or match[2])
        return match[0] if value is None else f"{quote}{_value(value)}{quote}"

    return " ".join(hide(_PARAMETER.sub(filled, template["template"])).split())


def _value(value: Any) -> str:
    """Give a value as text in which nothing is invisible: patterns name spaces that look alike, or like nothing."""
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    seen = (sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in text)
    return "".join(seen).replace(_QUOTE, "'")


def _without_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {hide_numbers_but_dates(str(name)): _without_numbers(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_numbers(item) for item in value]
    if isinstance(value, str):
        return hide_numbers_but_dates(value)
    return MASK if value is not None and like_a_number(str(value)) else value
