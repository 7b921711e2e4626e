with marts as (
    select event_id from {{ ref('fct_interactions') }}
    union
    select event_id from {{ ref('int_events__sessionised') }}
)

select marts.event_id
from marts
inner join {{ ref('stg_lake__events') }} as events on marts.event_id = events.event_id
left join {{ ref('int_visitors__bots') }} as bots
    on
        events.source = bots.source
        and coalesce(events.user_id, events.anonymous_id) = bots.visitor_id
        and events.event_date = bots.event_date
where events.is_bot or bots.visitor_id is not null
