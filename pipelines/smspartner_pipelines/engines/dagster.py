"""Dagster: an asset whose rows the command loads, three checks that say what the run has proved, a resource."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import smspartner
from smspartner.errors import SettingsError, raise_alone
from smspartner_schemas.contract import ExitCode

from smspartner_pipelines.engines.job import Job, JobEnd, Option, Tags, connect, find_tags

try:
    import dagster as dg
except ModuleNotFoundError:
    raise SettingsError(
        "the library dagster is missing", remedy="pip install 'smspartner-connector[dagster]'"
    ) from None

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AdHoc", "SmsPartnerResource", "smspartner_asset"]

_MATERIALISED = frozenset({ExitCode.OK, ExitCode.TAGS_NOT_COMPLETE, ExitCode.ROWS_IN_QUARANTINE})
_BLOCKING = "every_tag_is_complete"
_CHECKS = {
    _BLOCKING: "Every tag asked for is complete, unknown to the API, or skipped since it is unchanged.",
    "rows_are_valid": "No row and no tag failed an expectation of the contract's suite or your own.",
    "nothing_in_quarantine": "Not more rows of the tags asked for are in quarantine than `allow_quarantined` says.",
}


class AdHoc(dg.Config):
    """What one run may say for itself: `tags` to load instead of those of the definition."""

    tags: list[str] | None = None


class SmsPartnerResource(dg.ConfigurableResource):  # type: ignore[type-arg,unused-ignore]
    """The API, by a key in an environment variable: `SmsPartnerResource(api_key=dg.EnvVar("SMSPARTNER_API_KEY"))`."""

    api_key: str
    base_url: str = ""

    def get_resource_definition(self) -> Any:
        """Give Dagster what it keeps and shows of this: the name of the variable.

        Raises:
            SettingsError: the key itself stands here.
        """
        if not isinstance(self.api_key, dg.EnvVar):
            what = "the definition holds api_key, which Dagster would keep"
            raise SettingsError(what, remedy='name a variable: api_key=dg.EnvVar("NAME")')
        return super().get_resource_definition()

    def connection(self) -> smspartner.Connection:
        """Give what `smspartner.read_statuses` and `iter_snapshots` take; raises SettingsError if it can't be used."""
        return connect(self.api_key, self.base_url)

    def read_statuses(self, tags: Iterable[str], **options: Any) -> pd.DataFrame:
        """Read all rows of tags as one typed frame, as `smspartner.read_statuses` does, and raises."""
        return smspartner.read_statuses(tags, self.connection(), **options)


def smspartner_asset(
    name: str = "statuses",
    *,
    tags: Tags,
    to: Sequence[str] = (),
    resource_key: str | None = None,
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
        resource_key: of a `SmsPartnerResource` among the definitions; without one, the environment gives the key.
        options: options of `smspartner run`, by their long names with `_` for `-`.
        max_retries: how often a run that may end better is tried again; only what is missing is read.
        retry_delay: seconds between the tries.
        command: how to start `smspartner` where it lives in an environment of its own.
        **arguments: as `dagster.asset` takes them, such as `group_name`, `deps`, `automation_condition`.

    Raises:
        SettingsError: a secret stands in what Dagster would keep, or an option is not for a job to set.
    """
    job = Job(to, options, command)
    prefix = arguments.get("key_prefix") or []
    key = dg.AssetKey([*([prefix] if isinstance(prefix, str) else prefix), name])

    def load(context: dg.AssetExecutionContext, config: AdHoc) -> dg.MaterializeResult[Any]:
        resource = getattr(context.resources, resource_key) if resource_key else None
        ended = _run(job, config.tags or tags, context, resource)
        last_try = context.retry_number >= max_retries
        if ended.exit_code not in _MATERIALISED or (ended.try_again and not last_try):
            raise dg.Failure(ended.sentence, metadata=ended.summary(), allow_retries=ended.try_again)
        return dg.MaterializeResult(metadata=_metadata(ended), check_results=list(_check_results(ended)))

    # Dagster reads the annotations of the function itself, which are only names here.
    load.__annotations__ = {"context": dg.AssetExecutionContext, "config": AdHoc, "return": dg.MaterializeResult}
    needed = {*arguments.pop("required_resource_keys", ()), *filter(None, [resource_key])}
    return dg.asset(
        name=name,
        required_resource_keys=needed,
        check_specs=[
            dg.AssetCheckSpec(check, asset=key, description=described, blocking=check == _BLOCKING)
            for check, described in _CHECKS.items()
        ],
        retry_policy=dg.RetryPolicy(max_retries=max_retries, delay=retry_delay),
        **arguments,
    )(load)


def _run(job: Job, tags: Tags, context: dg.AssetExecutionContext, resource: SmsPartnerResource | None) -> JobEnd:
    """Run the command, whose log is that of Dagster's run; a retry reads what is missing since that run began.

    Raises:
        dg.Failure: the settings are wrong.
    """
    record = context.instance.get_run_record_by_id(context.run.run_id) if context.retry_number else None
    since = datetime.fromtimestamp(record.start_time, UTC) if record and record.start_time else None
    try:
        return job.run(find_tags(tags), context.log.log, since, resource and resource.connection())
    except SettingsError as exc:
        raise_alone(dg.Failure(str(exc), allow_retries=False))


def _metadata(ended: JobEnd) -> dict[str, Any]:
    """Give the facts of a materialisation: the summary of the run, and rates."""
    facts = ended.summary()
    rows, seconds = facts["rows_loaded"], facts["seconds"]
    facts |= {f"tags_{verdict}": count for verdict, count in facts.pop("verdicts").items()}
    facts |= {"rows_per_second": round(rows / seconds, 1)} if seconds else {}
    return {name: fact for name, fact in facts.items() if fact is not None}


def _check_results(ended: JobEnd) -> Iterator[dg.AssetCheckResult]:
    """Give the results of the checks, as facts of the run report."""
    report, summary = ended.report or {}, ended.summary()
    missing = {name: summary[name] for name in ("verdicts", "not_complete", "tags_not_complete")}
    yield _result(_BLOCKING, missing, passed=not ended.not_complete)
    validation = {name: fact for name, fact in report["validation"].items() if fact is not None}
    failed = [one for one in validation.pop("expectations", ()) if not one["success"]]
    yield _result("rows_are_valid", {**validation, "failed": failed}, passed=bool(validation["success"]))
    quarantined, allowed = report["totals"]["rows_quarantined"], report["settings"]["allow_quarantined"]
    by_tag = {row["tag"]: row["rows_quarantined"] for row in report["tags"] if row["rows_quarantined"]}
    counted = {"rows_quarantined": quarantined, "allowed": allowed, "by_tag": by_tag}
    yield _result("nothing_in_quarantine", counted, passed=quarantined <= allowed)


def _result(check: str, facts: dict[str, Any], *, passed: bool) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.ERROR if check == _BLOCKING else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(check_name=check, passed=passed, severity=severity, metadata=facts)
