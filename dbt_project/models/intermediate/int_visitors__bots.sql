with sessions as (
    select * from {{ ref('int_visitor_sessions__measured') }}
),

visitor_days as (
    select
        source,
        visitor_id,
        event_date,
        cast(sum(n_events) as bigint) as n_events,
        max(max_events_per_minute) as max_events_per_minute,
        max(max_events_per_hour) as max_events_per_hour,
        max(n_events) as max_session_events,
        max(session_hours) as max_session_hours
    from sessions
    group by source, visitor_id, event_date
),

judged as (
    select
        *,
        case
            when max_events_per_minute > {{ var('bot_events_per_minute') }} then 'events_per_minute'
            when max_events_per_hour > {{ var('bot_events_per_hour') }} then 'events_per_hour'
            when max_session_events > {{ var('bot_session_events') }} then 'session_events'
            when max_session_hours > {{ var('bot_session_hours') }} then 'session_hours'
        end as bot_rule
    from visitor_days
),

final as (
    select * from judged
    where bot_rule is not null
)

select * from final
