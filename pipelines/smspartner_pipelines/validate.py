"""What a destination holds, validated: its rows by the contract's suite and the user's, its tags by what was loaded."""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from smspartner.snapshot import new_run_id
from smspartner_schemas.contract import ERASURES, QUARANTINE, STATUS_WORDS, STATUSES, TAG_RUNS, PhoneForm

from smspartner_pipelines.gx import start_import
from smspartner_pipelines.load.destination import Damage, Destination, LoadedTag, loaded_tags
from smspartner_pipelines.reading import rows_in
from smspartner_pipelines.validation import Validator

READABLE = "readable"
PRESENT = "loaded_tag_is_there"
KNOWN = "rows_of_loaded_tags"
COUNTS = "counts_as_loaded"
ONE_RUN = "rows_of_one_run"
RECEIVED = "counts_add_up"
TAG_RULES = {
    READABLE: "Every file and table can be read.",
    PRESENT: "Every tag that a run has loaded is there, in its newest reading.",
    KNOWN: "Every row stands under a tag that is loaded.",
    COUNTS: "Rows, statuses, opt-outs, newest status and quarantine are what was loaded.",
    ONE_RUN: "All rows of a tag were loaded by the run that loaded the tag.",
    RECEIVED: "Rows loaded, in quarantine and erased add up to the rows received.",
}
"""The rules of whole tags, which no expectation can state, with their meanings."""


@dataclass(frozen=True)
class Finding:
    """A rule that is broken by a tag (None: it is not known which).

    In so many `rows`, of so many that were judged, or as a whole (None).
    """

    rule: str
    tag: str | None = None
    rows: int | None = None
    of: int | None = None
    what: str = ""


@dataclass
class _Held:
    """What is there of one tag."""

    rows: int = 0
    quarantined: int = 0
    stop_sms: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    newest_status_at: datetime | None = None
    runs: set[str] = field(default_factory=set)


def validate_loaded(destination: Destination, expectations: str | None = None) -> dict[str, Any]:
    """Validate all that `destination`, opened to be read, holds. What can't be read is a finding, the others go on.

    The result is what the page and the JSON say: counts and names, no value of a row; `success` if nothing was found.

    Raises:
        SettingsError: the user's suite can't be read or evaluated.
        DestinationError: the destination can't be read at all.
        ValidationBroken: an expectation could not be evaluated.
    """
    began, started_at = time.monotonic(), datetime.now(UTC)
    start_import()
    states, damages = loaded_tags(destination)
    forms = {tag: cast("PhoneForm", state.phone_numbers.partition(":")[0]) for tag, state in states.items()}
    found_forms: list[PhoneForm] = sorted(set(forms.values())) or ["plain"]
    validators = {form: Validator(form, expectations) for form in found_forms}
    held: defaultdict[str, _Held] = defaultdict(_Held)
    of_rows: list[Finding] = []
    for rows in rows_in(destination, STATUSES, STATUSES.column_names, damages):
        _count(rows, held)
        for form, of_form in _by_form(rows, forms, found_forms):
            of_rows += _row_findings(of_form, validators[form])
    findings = [*_tag_findings(destination, states, held, damages), *of_rows]
    return {
        "kind": "smspartner validation",
        "run_id": new_run_id(),
        "destination": destination.uri,
        "started_at": f"{started_at:%Y-%m-%dT%H:%M:%SZ}",
        "seconds": round(time.monotonic() - began, 3),
        "success": not findings,
        "phone_numbers": dict(Counter(forms.values())),
        "user_suite": Path(expectations).name if expectations else None,
        **_counted(states, held, findings),
        **_judged({form: validator.results() for form, validator in validators.items()}),
        "findings": [asdict(finding) for finding in findings],
    }


def _counted(states: Mapping[str, LoadedTag], held: Mapping[str, _Held], findings: Sequence[Finding]) -> dict[str, Any]:
    rules = Counter(finding.rule for finding in findings)
    return {
        "tags": len(states),
        "rows": sum(one.rows for one in held.values()),
        "quarantined": sum(one.quarantined for one in held.values()),
        "erased": sum(state.rows_erased for state in states.values()),
        "tags_failed": len({finding.tag for finding in findings if finding.tag}),
        "tags_not_read": sorted(
            {one.tag for one in findings if one.tag and one.rule in {READABLE, PRESENT}} - states.keys()
        ),
        "tag_rules": [{"rule": rule, "meaning": TAG_RULES[rule], "failed": rules[rule]} for rule in TAG_RULES],
    }


def _judged(results: Mapping[PhoneForm, dict[str, Any]]) -> dict[str, Any]:
    return {
        "rows_failed": sum(result["rows_failed"] for result in results.values()),
        "great_expectations_version": next(iter(results.values()))["great_expectations_version"],
        "expectations": [{**one, "phone_numbers": form} for form in results for one in results[form]["expectations"]],
    }


def _by_form(
    rows: pa.Table, forms: Mapping[str, PhoneForm], found: Sequence[PhoneForm]
) -> Iterator[tuple[PhoneForm, pa.Table]]:
    """Give the rows by the form of their phone numbers; rows of no known tag go with the first form."""
    if len(found) == 1:
        yield found[0], rows
        return
    of_rows = rows["tag"].cast(pa.string())
    for form in found:
        tags = [tag for tag in pc.unique(of_rows).to_pylist() if forms.get(tag, found[0]) == form]
        yield form, rows.filter(pc.is_in(of_rows, pa.array(tags, pa.string())))


def _row_findings(rows: pa.Table, validator: Validator) -> Iterator[Finding]:
    """Judge rows, tag by tag."""
    column = rows["tag"].combine_chunks()
    codes = np.asarray(pc.fill_null(column.indices, -1))
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-2))
    words = [*column.dictionary.to_pylist(), None]  # -1 is a null, the last
    sizes = np.diff([*starts, len(codes)]).tolist()
    in_order = rows if np.array_equal(order, np.arange(len(order))) else rows.take(order)
    judgements = validator.judge_rows(in_order, sizes)
    for code, size, judgement in zip(codes[order][starts], sizes, judgements, strict=True):
        for rule, count in Counter(chain.from_iterable(judgement.rows.values())).items():
            yield Finding(rule, words[code], count, size, "rows break the rule")
        for rule, found in judgement.failed.items():
            yield Finding(rule, words[code], what=found or "the tag as a whole")


def _count(rows: pa.Table, held: Mapping[str, _Held]) -> None:
    counted = rows.group_by(["tag", "run_id", "status"]).aggregate(
        [([], "count_all"), ("stop_sms", "sum"), ("status_at", "max")]
    )
    for row in counted.to_pylist():
        one = held[row["tag"]]
        one.rows += row["count_all"]
        one.stop_sms += row["stop_sms_sum"] or 0
        one.statuses[row["status"]] += row["count_all"]
        one.runs.add(row["run_id"])
        one.newest_status_at = max((at for at in (one.newest_status_at, row["status_at_max"]) if at), default=None)


def _tag_findings(
    destination: Destination, states: Mapping[str, LoadedTag], held: Mapping[str, _Held], damages: list[Damage]
) -> Iterator[Finding]:
    """Give what can't be read, then what else is wrong with tags; damage explains all else of its tag."""
    for rows in rows_in(destination, QUARANTINE, ("tag", "run_id"), damages):
        for row in rows.group_by(["tag", "run_id"]).aggregate([([], "count_all")]).to_pylist():
            held[row["tag"]].quarantined += row["count_all"]
            held[row["tag"]].runs.add(row["run_id"])
    deque(rows_in(destination, ERASURES, ("number_hash",), damages), maxlen=0)  # one that is damaged stops every run
    broken = list(_broken(states, held, _newest_runs(destination, damages)))
    if broken:  # what a run has loaded anew meanwhile can't be compared
        now, _ = loaded_tags(destination)
        broken = [one for one in broken if states.get(one.tag or "") == now.get(one.tag or "")]
    places = {damage.place: damage for damage in damages}.values()
    yield from (Finding(READABLE, one.tag, what=f"{one.place}: {one.what}") for one in places)
    damaged = {one.tag for one in places if one.tag}
    yield from (one for one in broken if one.tag not in damaged)


def _newest_runs(destination: Destination, damages: list[Damage]) -> dict[str, dict[str, str]]:
    """Give by tag the newest run that read it completely (`complete`), and that found it loaded (`skipped`)."""
    newest: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for rows in rows_in(destination, TAG_RUNS, ("run_id", "tag", "verdict"), damages):
        plain = rows.cast(pa.schema([(name, pa.string()) for name in rows.column_names]))
        for row in plain.group_by(["tag", "verdict"]).aggregate([("run_id", "max")]).to_pylist():
            if row["verdict"] in {"complete", "skipped"}:
                of_tag = newest[row["tag"]]
                of_tag[row["verdict"]] = max(of_tag.get(row["verdict"], ""), row["run_id_max"])
    return newest


def _broken(
    states: Mapping[str, LoadedTag], held: Mapping[str, _Held], newest: Mapping[str, dict[str, str]]
) -> Iterator[Finding]:
    for tag in sorted(newest.keys() - states.keys()):
        yield Finding(PRESENT, tag, what=f"run {max(newest[tag].values())} found it loaded, and it is not there")
    for tag in sorted(held.keys() - states.keys(), key=str):
        what = f"{held[tag].rows:,} rows and {held[tag].quarantined:,} in quarantine are not known to be loaded"
        yield Finding(KNOWN, tag, what=what)
    for tag, state in sorted(states.items()):
        there = held.get(tag) or _Held()
        if state.run_id < newest.get(tag, {}).get("complete", ""):
            yield Finding(PRESENT, tag, what=f"it was loaded by {state.run_id}, and later by {newest[tag]['complete']}")
        if differences := list(_differences(state, there)):
            yield Finding(COUNTS, tag, what="; ".join(differences))
        if there.runs - {state.run_id}:
            yield Finding(ONE_RUN, tag, what=f"rows name another run than {state.run_id}, which loaded the tag")
        if state.rows_loaded + state.rows_quarantined + state.rows_erased != state.rows_received:
            counts = f"{state.rows_loaded:,} + {state.rows_quarantined:,} + {state.rows_erased:,}"
            yield Finding(RECEIVED, tag, what=f"{counts} is not {state.rows_received:,}")


def _differences(state: LoadedTag, there: _Held) -> Iterator[str]:
    counts = {"rows_loaded": there.rows, "rows_quarantined": there.quarantined, "stop_sms": there.stop_sms}
    for name, count in {**counts, **{word: there.statuses[word] for word in STATUS_WORDS}}.items():
        if count != getattr(state, name):
            yield f"{name} is {count:,}, and {getattr(state, name):,} were loaded"
    if there.newest_status_at != state.newest_status_at:
        yield "newest_status_at differs"
