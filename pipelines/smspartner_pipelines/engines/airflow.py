"""Airflow 3: a DAG that asks which tags there are, and loads them by the command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from smspartner.errors import SettingsError, raise_alone

from smspartner_pipelines.engines.job import Job, Option, Tags, find_tags

try:
    from airflow.sdk import DAG, BaseOperator, task
    from airflow.sdk.exceptions import AirflowException, AirflowFailException
except ModuleNotFoundError:
    raise SettingsError(
        "the library apache-airflow is missing", remedy="pip install 'smspartner-connector[airflow]'"
    ) from None

__all__ = ["LoadStatuses", "smspartner_dag"]


class LoadStatuses(BaseOperator):
    """Load the statuses of tags by `smspartner run`, as a task of any DAG; returns the summary of the run.

    Args:
        tags: a list, the output of another task, a `Path` of a file with one tag a line, or a function that gives tags.
        to: destinations; without any, those of SMSPARTNER_TO in the worker's environment.
        options: options of `smspartner run`, by their long names with `_` for `-`.
        command: how to start `smspartner` where it lives in an environment of its own, such as
            `["/opt/smspartner/bin/smspartner"]`.
        **arguments: as every operator takes them, such as `retries` and `execution_timeout`.

    Raises:
        SettingsError: a secret stands in what Airflow would keep, or an option is not for a task to set.
    """

    template_fields = ("tags", "to", "options")

    def __init__(
        self,
        *,
        tags: Tags,
        to: Sequence[str] = (),
        options: Mapping[str, Option] | None = None,
        command: Sequence[str] = (),
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        # Airflow would call a function in a template field as it calls its own, with a context.
        self._function = tags if callable(tags) else None
        self.tags = () if callable(tags) else tags
        self.to, self.options, self.command = to, dict(options or {}), command
        self._job = Job(self.to, self.options, self.command)

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Run the command; a retry reads only what the tries before it have not loaded.

        Raises:
            AirflowFailException: trying again would not help: settings, key or account refused, rows in quarantine.
            AirflowException: tags are not complete, a destination failed, or the run was interrupted.
        """
        since = context["dag_run"].start_date if context["ti"].try_number > 1 else None
        try:
            self._job = Job(self.to, self.options, self.command)  # as the templates are filled in
            tags = find_tags(self._function or self.tags)
            ended = self._job.run(tags, lambda level, text: self.log.log(level, "%s", text), since)
        except SettingsError as exc:
            raise_alone(AirflowFailException(str(exc)))
        if ended.exit_code == 0:
            return ended.summary()
        context["ti"].xcom_push(key="return_value", value=ended.summary())
        raise (AirflowException if ended.try_again else AirflowFailException)(ended.sentence)

    def on_kill(self) -> None:
        """End the run in order: tags that are loaded stay, the one in hand is finished or dropped."""
        self._job.stop()


def smspartner_dag(
    dag_id: str = "smspartner",
    *,
    tags: Tags,
    to: Sequence[str] = (),
    options: Mapping[str, Option] | None = None,
    command: Sequence[str] = (),
    retries: int = 3,
    retry_delay: timedelta = timedelta(minutes=5),
    **arguments: Any,
) -> DAG:
    """Make a DAG of two tasks: `find_tags` asks which tags there are, at every run anew, and `load` loads them.

    `tags`, `to`, `options` and `command` are those of `LoadStatuses`; `arguments`, such as `schedule`, go to the DAG.
    One run at a time: two would only exclude each other at the destination.
    """
    again: dict[str, Any] = {"retries": retries, "retry_delay": retry_delay}
    with DAG(dag_id, **{"schedule": None, "catchup": False, "max_active_runs": 1, **arguments}) as dag:
        found = task(task_id="find_tags", **again)(find_tags)(tags)
        LoadStatuses(task_id="load", tags=found, to=to, options=options, command=command, **again)
    return dag
