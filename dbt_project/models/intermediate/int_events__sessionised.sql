with person_events as (
    select
        *,
        row_number() over person_timeline as event_number,
        lag(occurred_at) over person_timeline as previous_event_at,
        lead(occurred_at) over person_timeline as next_event_at
    from {{ ref('int_events__identified') }}
    where person_id is not null
    window person_timeline as (partition by person_id order by occurred_at, event_id)
),

session_starts as (
    select
        *,
        coalesce(
            occurred_at > previous_event_at + interval '{{ var("session_idle_minutes") }}' minute, true
        ) as is_session_start,
        coalesce(
            next_event_at > occurred_at + interval '{{ var("session_idle_minutes") }}' minute, true
        ) as is_session_end
    from person_events
),

final as (
    select
        event_id,
        source,
        person_id,
        event_type,
        occurred_at,
        event_date,
        item_id,
        device,
        country,
        referrer,
        event_number,
        is_session_start,
        sum(cast(is_session_start as integer)) over (
            partition by person_id order by event_number rows unbounded preceding
        ) as session_number,
        -- Milliseconds are whole numbers, whose sums do not depend on the order of rows. A gap over midnight is left out: the feature
        -- date before it must not know of the event after it.
        case
            when dwell_seconds is not null then {{ nearest_integer('1000 * dwell_seconds') }}
            when not is_session_end and cast(next_event_at as date) = event_date
                then {{ nearest_integer('1000 * ' ~ seconds_between('occurred_at', 'next_event_at')) }}
        end as dwell_milliseconds
    from session_starts
)

select * from final
