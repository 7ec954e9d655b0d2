"""Airflow 3: a DAG that asks which tags there are, and loads them by the command; a hook that gives the API key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import smspartner
from smspartner.errors import SettingsError, SmsPartnerError, raise_alone

from smspartner_pipelines.engines.job import Job, Option, Tags, connect, find_tags

try:
    from airflow.sdk import DAG, BaseHook, BaseOperator, task
    from airflow.sdk.exceptions import AirflowException, AirflowFailException
except ModuleNotFoundError:
    raise SettingsError(
        "the library apache-airflow is missing", remedy="pip install 'smspartner-connector[airflow]'"
    ) from None

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LoadStatuses", "SmsPartnerHook", "smspartner_dag"]


class SmsPartnerHook(BaseHook):
    """The API by a connection of the type `smspartner`, from any of Airflow's secret backends.

    Its password is the API key; its host is the base URL, by default that of the environment, or SMS Partner's own.
    """

    conn_name_attr, default_conn_name = "conn_id", "smspartner_default"
    conn_type, hook_name = "smspartner", "SMS Partner"

    def __init__(self, conn_id: str = default_conn_name, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.conn_id = conn_id

    def get_conn(self) -> smspartner.Connection:
        """Give what `smspartner.read_statuses` and `iter_snapshots` take; nothing is requested.

        Raises:
            AirflowNotFoundException: Airflow has no connection of this name.
            SettingsError: it is of another type, whose password is not for this API, or its key or URL can't be used.
        """
        found = self.get_connection(self.conn_id)
        if found.conn_type != self.conn_type:
            what = f"the connection {self.conn_id} is of the type {found.conn_type}"
            raise SettingsError(what, remedy=f"give one of the type {self.conn_type}, with the API key as its password")
        if not found.password:
            raise SettingsError(f"the connection {self.conn_id} has no password", remedy="give it the API key")
        return connect(found.password, found.host)

    def read_statuses(self, tags: Iterable[str], **options: Any) -> pd.DataFrame:
        """Read all rows of tags as one typed frame, as `smspartner.read_statuses` does, and raises."""
        return smspartner.read_statuses(tags, self.get_conn(), **options)

    def test_connection(self) -> tuple[bool, str]:
        """Ask for the account of the key, as `smspartner check` does, which changes nothing."""
        from smspartner.client import Client

        try:
            with closing(Client(self.get_conn())) as client:
                client.fetch_account()
        except SmsPartnerError as exc:
            return False, str(exc)
        return True, "the API accepts the key"


class LoadStatuses(BaseOperator):
    """Load the statuses of tags by `smspartner run`, as a task of any DAG; returns the summary of the run.

    Args:
        tags: a list, the output of another task, a `Path` of a file with one tag a line, or a function that gives tags.
        to: destinations; without any, those of SMSPARTNER_TO in the worker's environment.
        conn_id: the connection that holds the API key; without one, the worker's environment says where it is.
        options: options of `smspartner run`, by their long names with `_` for `-`.
        command: how to start `smspartner` where it lives in an environment of its own, such as
            `["/opt/smspartner/bin/smspartner"]`.
        **arguments: as every operator takes them, such as `retries` and `execution_timeout`.

    Raises:
        SettingsError: a secret stands in what Airflow would keep, or an option is not for a task to set.
    """

    template_fields = ("tags", "to", "options", "conn_id")

    def __init__(
        self,
        *,
        tags: Tags,
        to: Sequence[str] = (),
        conn_id: str | None = None,
        options: Mapping[str, Option] | None = None,
        command: Sequence[str] = (),
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        # Airflow would call a function in a template field as it calls its own, with a context.
        self._function = tags if callable(tags) else None
        self.tags = () if callable(tags) else tags
        self.to, self.conn_id, self.options, self.command = to, conn_id, dict(options or {}), command
        self._job = Job(self.to, self.options, self.command)

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Run the command; a retry reads only what the tries before it have not loaded.

        Raises:
            AirflowFailException: trying again would not help: settings, key or account refused, rows in quarantine.
            AirflowException: tags are not complete, a destination failed, the run was interrupted, or no backend of
                Airflow gives the connection, which one that is down does not either.
        """
        since = context["dag_run"].start_date if context["ti"].try_number > 1 else None
        try:
            self._job = Job(self.to, self.options, self.command)  # as the templates are filled in
            connection = SmsPartnerHook(self.conn_id).get_conn() if self.conn_id else None
            tags = find_tags(self._function or self.tags)
            ended = self._job.run(tags, lambda level, text: self.log.log(level, "%s", text), since, connection)
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
    conn_id: str | None = None,
    options: Mapping[str, Option] | None = None,
    command: Sequence[str] = (),
    retries: int = 3,
    retry_delay: timedelta = timedelta(minutes=5),
    **arguments: Any,
) -> DAG:
    """Make a DAG of two tasks: `find_tags` asks which tags there are, at every run anew, and `load` loads them.

    `tags`, `to`, `conn_id`, `options` and `command` are those of `LoadStatuses`; `arguments`, such as `schedule`, go to
    the DAG. One run at a time: two would only exclude each other at the destination.
    """
    again: dict[str, Any] = {"retries": retries, "retry_delay": retry_delay}
    with DAG(dag_id, **{"schedule": None, "catchup": False, "max_active_runs": 1, **arguments}) as dag:
        found = task(task_id="find_tags", **again)(find_tags)(tags)
        LoadStatuses(task_id="load", tags=found, to=to, conn_id=conn_id, options=options, command=command, **again)
    return dag
