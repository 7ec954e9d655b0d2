"""Dagster: an asset whose rows the command loads, and three checks that say what the run has proved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from smspartner.errors import SettingsError

from smspartner_pipelines.as_job import Job, Option, Tags, find_tags
from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.job_end import JobEnd

try:
    import dagster as dg
except ModuleNotFoundError as exc:
    raise SettingsError(f"this asset needs {exc.name}: pip install 'smspartner-connector[dagster]'") from None

__all__ = ["AdHoc", "smspartner_asset"]

COMPLETE, VALID, QUARANTINE = "every_tag_is_complete", "rows_are_valid", "nothing_in_quarantine"
_MATERIALISED = frozenset({ExitCode.OK, ExitCode.TAGS_NOT_COMPLETE, ExitCode.ROWS_IN_QUARANTINE})
_CHECKS = {
    COMPLETE: "Every tag asked for is complete, unknown to the API, or skipped since it can't have changed.",
    VALID: "No row and no tag failed an expectation of the contract's suite or your own.",
    QUARANTINE: "Not more rows of this run are in quarantine than `allow_quarantined` says.",
}


class AdHoc(dg.Config):
    """What one run may say for itself: `tags` to load instead of those of the definition."""

    tags: list[str] | None = None


def smspartner_asset(
    name: str = "statuses",
    *,
    tags: Tags,
    to: Sequence[str] = (),
    options: Mapping[str, Option] | None = None,
    max_retries: int = 3,
    retry_delay: float = 300,
    command: Sequence[str] = (),
    **arguments: Any,
) -> dg.AssetsDefinition:
    """Make an asset of the rows of `statuses`, loaded by `smspartner run`.

    The asset is materialised with what is loaded, also where tags are not complete after the last retry: then the check
    `every_tag_is_complete` fails, and what is downstream is not run.

    Args:
        name: of the asset.
        tags: a list, a `Path` of a file with one tag a line, or a function that gives tags; asked at every run anew.
        to: destinations; without any, those of SMSPARTNER_TO in the environment of the run.
        options: options of `smspartner run`, by their long names with `_` for `-`.
        max_retries: how often a run that may end better is tried again; only what is missing is read.
        retry_delay: seconds between the tries.
        command: how to start `smspartner` where it lives in an environment of its own.
        **arguments: as `dagster.asset` takes them, such as `group_name`, `deps`, `automation_condition`.

    Raises:
        SettingsError: a secret stands in what Dagster would keep, or an option is not for a job to set.
    """
    job = Job(to, options, command)
    specs = [
        dg.AssetCheckSpec(check, asset=_key(name, arguments), description=described, blocking=check == COMPLETE)
        for check, described in _CHECKS.items()
    ]

    def load(context: dg.AssetExecutionContext, config: AdHoc) -> dg.MaterializeResult[Any]:
        ended = _run(job, config.tags or tags, context)
        _raise_unless_materialised(ended, last_try=context.retry_number >= max_retries)
        return dg.MaterializeResult(metadata=_metadata(ended), check_results=list(_checks(ended)))

    # Dagster reads the annotations of the function itself, which are only names here.
    load.__annotations__ = {"context": dg.AssetExecutionContext, "config": AdHoc, "return": dg.MaterializeResult}
    policy = dg.RetryPolicy(max_retries=max_retries, delay=retry_delay)
    return dg.asset(name=name, check_specs=specs, retry_policy=policy, **arguments)(load)


def _key(name: str, arguments: Mapping[str, Any]) -> dg.AssetKey:
    prefix = arguments.get("key_prefix") or []
    return dg.AssetKey([*([prefix] if isinstance(prefix, str) else prefix), name])


def _run(job: Job, tags: Tags, context: dg.AssetExecutionContext) -> JobEnd:
    """Run the command, which says what it does in the log of the run.

    Raises:
        dg.Failure: the settings are wrong.
    """
    try:
        since = _began(context) if context.retry_number else None
        return job.run(find_tags(tags), context.log.log, since)
    except SettingsError as exc:
        trouble = str(exc)
    raise dg.Failure(trouble, allow_retries=False)


def _began(context: dg.AssetExecutionContext) -> datetime | None:
    record = context.instance.get_run_record_by_id(context.run_id)
    return datetime.fromtimestamp(record.start_time, UTC) if record and record.start_time else None


def _raise_unless_materialised(ended: JobEnd, *, last_try: bool) -> None:
    """Fail the step, unless rows were loaded and nothing more is to be tried.

    Raises:
        dg.Failure: with the summary as metadata; retries follow if they may help.
    """
    if ended.exit_code not in _MATERIALISED or (ended.try_again and not last_try):
        raise dg.Failure(ended.sentence, metadata=ended.summary(), allow_retries=ended.try_again)


def _metadata(ended: JobEnd) -> dict[str, Any]:
    summary = ended.summary()
    rows, seconds = summary["rows_loaded"], summary["seconds"]
    rates = {
        "rows_per_second": round(rows / seconds, 1) if seconds else None,
        "delivery_rate": round(summary["delivered"] / rows, 4) if rows else None,
    }
    counts = {f"tags_{verdict}": count for verdict, count in summary.pop("verdicts").items()}
    facts = summary | counts | {name: rate for name, rate in rates.items() if rate is not None}
    return {name: fact for name, fact in facts.items() if fact is not None}


def _checks(ended: JobEnd) -> Iterator[dg.AssetCheckResult]:
    """Give the results of the checks, as facts of the run report."""
    report = ended.report or {}
    missing = len(ended.not_complete)
    yield dg.AssetCheckResult(
        check_name=COMPLETE,
        passed=not missing,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{missing} of {len(ended.tags)} tags are not complete" if missing else None,
        metadata={name: fact for name, fact in ended.summary().items() if name in {"verdicts", "not_complete"}},
    )
    yield _validity(report["validation"])
    doubted, allowed = report["totals"]["rows_quarantined"], report["settings"]["allow_quarantined"]
    yield dg.AssetCheckResult(
        check_name=QUARANTINE,
        passed=doubted <= allowed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "rows_quarantined": doubted,
            "allowed": allowed,
            "by_tag": {row["tag"]: row["rows_quarantined"] for row in ended.tags if row["rows_quarantined"]},
        },
    )


def _validity(validation: Mapping[str, Any]) -> dg.AssetCheckResult:
    """Give the statistics of Great Expectations; rows that failed are in quarantine already, tags were not loaded."""
    counted = ("validate", "great_expectations_version", "user_suite", "batches", "tags", "rows", "seconds", "note")
    failed = [check for check in validation.get("expectations", ()) if not check["success"]]
    return dg.AssetCheckResult(
        check_name=VALID,
        passed=bool(validation["success"]),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            **{name: validation[name] for name in counted if validation.get(name) is not None},
            "expectations": len(validation.get("expectations", ())),
            "failed": failed,
        },
    )
