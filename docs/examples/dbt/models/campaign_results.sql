-- A row for each tag that a run was asked for: its figures, and the verdict of the last run.
-- A view: a run replaces the rows of a tag, and `forget` removes some, so that what is counted anew is always right.
{{ config(materialized='view') }}

with counted as (
    select
        tag,
        count(*) as messages,
        count(*) filter (where status = 'delivered') as delivered,
        count(*) filter (where status = 'waiting') as waiting,
        count(*) filter (where stop_sms) as opt_outs
    from {{ source('smspartner', 'statuses') }}
    group by tag
),

asked as (
    select tag, verdict, row_number() over (partition by tag order by run_id desc) as nth
    from {{ source('smspartner', 'tag_runs') }}
)

select
    asked.tag,
    asked.verdict as last_verdict,
    coalesce(counted.messages, 0) as messages,
    coalesce(counted.delivered, 0) as delivered,
    coalesce(counted.waiting, 0) as waiting,
    coalesce(counted.opt_outs, 0) as opt_outs,
    cast(counted.delivered as float8) / nullif(counted.messages - counted.waiting, 0) as delivered_share
from asked
left join counted on counted.tag = asked.tag
where asked.nth = 1
