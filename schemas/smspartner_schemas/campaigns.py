"""The view `campaigns`: a row per tag, where those who look at reports expect one."""

from __future__ import annotations

from typing import NamedTuple

from smspartner_schemas.contract import STATUS_WORDS


class ViewColumn(NamedTuple):
    """A column of the view, and the expression that makes it; `s` is what is counted of a tag, `l` what is loaded."""

    name: str
    expression: str
    meaning: str


CAMPAIGNS_NAME = "campaigns"
CAMPAIGNS_MEANING = "One row per tag that is loaded: how the campaign went, and whether it still goes on."

CAMPAIGNS = (
    ViewColumn("tag", "l.tag", "the tag"),
    ViewColumn("messages", "coalesce(s.messages, 0)", "rows loaded"),
    *(ViewColumn(word, f"coalesce(s.{word}, 0)", f"rows loaded as {word.replace('_', ' ')}") for word in STATUS_WORDS),
    ViewColumn(
        "delivery_rate",
        "CAST(s.delivered AS float8) / s.messages",
        "delivered among all rows loaded, from 0 to 1; null where there are none",
    ),
    ViewColumn("opt_outs", "coalesce(s.opt_outs, 0)", "rows loaded of recipients who opted out"),
    ViewColumn("rows_quarantined", "l.rows_quarantined", "rows in quarantine, which count in no other column"),
    ViewColumn("first_delivery_at", "s.first_delivery_at", "the earliest `status_at` of a delivered message"),
    ViewColumn("last_delivery_at", "s.last_delivery_at", "the latest `status_at` of a delivered message"),
    ViewColumn("read_at", "l.extracted_at", "when the tag was read"),
    ViewColumn("still_waiting", "l.waiting > 0", "whether messages wait for their final status"),
)

_COUNTS = ",\n".join(f"        count(*) FILTER (WHERE status = '{word}') AS {word}" for word in STATUS_WORDS)

CAMPAIGNS_FROM = f"""\
FROM "loaded_tags" AS l LEFT JOIN (
    SELECT tag,
        count(*) AS messages,
{_COUNTS},
        count(*) FILTER (WHERE stop_sms) AS opt_outs,
        min(status_at) FILTER (WHERE status = 'delivered') AS first_delivery_at,
        max(status_at) FILTER (WHERE status = 'delivered') AS last_delivery_at
    FROM "statuses" GROUP BY tag
) AS s ON s.tag = l.tag"""  # noqa: S608  # words of the contract
"""Counted first and joined then, so that a question about one tag reads the rows of no other."""
