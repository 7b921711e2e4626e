with latest_moments as (
    select max(occurred_at) as moment from {{ ref('fct_interactions') }}
    where {{ is_changed_day() }}
    union all
    select max(ended_at) as moment from {{ ref('fct_sessions') }}
    union all
    select max(ordered_at) as moment from {{ ref('fct_orders') }}
    union all
    select max(last_seen_at) as moment from {{ ref('dim_items') }}
    union all
    select max(last_seen_at) as moment from {{ ref('dim_users') }}
)

select moment
from latest_moments
where moment >= {{ night_end() }}
