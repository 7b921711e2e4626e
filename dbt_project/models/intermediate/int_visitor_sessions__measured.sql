{{ config(materialized=kept(), pre_hook="{{ forget_stale('day') }}") }}

-- Orders say nothing about machines: an invoice has many lines in one minute.
with counted_events as (
    select
        source,
        coalesce(user_id, anonymous_id) as visitor_id,
        event_date,
        occurred_at
    from {{ ref('stg_lake__events') }}
    where
        not is_bot
        and {{ is_stale('day') }}
        and occurred_at < {{ night_end() }}
        and event_type in ('view', 'click', 'search')
        and coalesce(user_id, anonymous_id) is not null
),

-- With so few events in a day no rule can be broken: nearly everybody is done with here.
busy_days as (
    select
        source,
        visitor_id,
        event_date
    from counted_events
    group by source, visitor_id, event_date
    having count(*) > least(
        {{ var('bot_events_per_minute') }}, {{ var('bot_events_per_hour') }}, {{ var('bot_session_events') }},
        {{ var('bot_session_hours') }} * 60 / {{ var('session_idle_minutes') }}
    )
),

session_starts as (
    select
        events.*,
        coalesce(
            events.occurred_at > lag(events.occurred_at) over visitor_day
            + interval '{{ var("session_idle_minutes") }}' minute, true
        ) as is_session_start
    from counted_events as events
    inner join busy_days
        on
            events.source = busy_days.source
            and events.visitor_id = busy_days.visitor_id
            and events.event_date = busy_days.event_date
    window visitor_day as (partition by events.source, events.visitor_id, events.event_date order by events.occurred_at)
),

numbered as (
    select
        *,
        count(*) over (partition by source, visitor_id, date_trunc('minute', occurred_at)) as n_in_minute,
        count(*) over (partition by source, visitor_id, date_trunc('hour', occurred_at)) as n_in_hour,
        sum(cast(is_session_start as integer)) over (
            partition by source, visitor_id, event_date order by occurred_at
        ) as session_number
    from session_starts
),

final as (
    select
        source,
        visitor_id,
        event_date,
        cast(session_number as integer) as session_number,
        count(*) as n_events,
        max(n_in_minute) as max_events_per_minute,
        max(n_in_hour) as max_events_per_hour,
        {{ rounded(seconds_between('min(occurred_at)', 'max(occurred_at)') ~ ' / 3600') }} as session_hours
    from numbered
    group by source, visitor_id, event_date, session_number
)

select * from final
