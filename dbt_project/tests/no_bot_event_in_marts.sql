with marts as (
    select
        event_id,
        event_date
    from {{ ref('fct_interactions') }}
    where {{ is_changed_day() }}
    union all
    select
        event_id,
        event_date
    from {{ ref('int_events__sessionised') }}
    where {{ is_changed_day() }}
)

select marts.event_id
from marts
inner join {{ ref('stg_lake__events') }} as events on marts.event_id = events.event_id and marts.event_date = events.event_date
left join {{ ref('int_visitors__bots') }} as bots
    on
        events.source = bots.source
        and coalesce(events.user_id, events.anonymous_id) = bots.visitor_id
        and events.event_date = bots.event_date
where events.is_bot or bots.visitor_id is not null
