{{ config(
    materialized=kept(),
    pre_hook="{{ forget_stale('person_day') }}",
    post_hook="{{ put_fresh_events_aside() }}"
) }}

{% set idle = "interval '" ~ var('session_idle_minutes') ~ "' minute" %}

-- What a person did before the first row of a kept table's part is idle time away from it: where sessions begin does not depend on the part.
with person_events as (
    select
        *,
        row_number() over person_timeline as timeline_number,
        lag(occurred_at) over person_timeline as previous_event_at,
        lead(occurred_at) over person_timeline as next_event_at
    from {{ ref('int_events__identified') }}
    where person_id is not null and {{ is_stale('person_day') }}
    window person_timeline as (partition by person_id order by occurred_at, event_id)
),

visits as (
    select
        *,
        coalesce(
            occurred_at > previous_event_at + {{ idle }} or {{ is_after_midnight('previous_event_at', 'occurred_at') }}, true
        ) as is_visit_start
    from person_events
),

session_starts as (
    {{ with_campaign_starts('visits') }}
),

numbered as (
    select
        *,
        max(case when is_session_start then occurred_at end) over person_timeline as session_started_at,
        max(case when is_session_start then timeline_number end) over person_timeline as session_first_number,
        coalesce(lead(is_session_start) over (partition by person_id order by timeline_number), true) as is_session_end
    from session_starts
    window person_timeline as (partition by person_id order by timeline_number rows unbounded preceding)
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
        search_term,
        weight,
        device,
        country,
        referrer,
        scroll_percent,
        session_started_at,
        cast(timeline_number - session_first_number + 1 as bigint) as event_number,
        -- Milliseconds are whole numbers, whose sums do not depend on the order of rows. A gap over midnight is left out: the feature
        -- date before it must not know of the event after it.
        case
            when dwell_seconds is not null then {{ nearest_integer('1000 * dwell_seconds') }}
            when not is_session_end and cast(next_event_at as date) = event_date
                then {{ nearest_integer('1000 * ' ~ seconds_between('occurred_at', 'next_event_at')) }}
        end as dwell_milliseconds
    from numbered
)

select * from final
