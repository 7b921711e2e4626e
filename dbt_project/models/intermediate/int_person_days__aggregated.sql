{{ config(materialized=kept(), pre_hook="{{ forget_stale('person_day') }}") }}

with person_events as (
    select * from {{ fresh_events(ref('int_events__sessionised')) }}
),

final as (
    select
        person_id,
        event_date,
        count(*) as n_events,
        count(*) filter (where event_type = 'view') as n_views,
        count(*) filter (where event_type = 'click') as n_clicks,
        count(*) filter (where event_type = 'add_to_cart') as n_add_to_carts,
        count(*) filter (where event_type = 'purchase') as n_purchases,
        count(*) filter (where event_number = 1) as n_sessions,
        min(occurred_at) as first_event_at,
        max(occurred_at) as last_event_at,
        cast(sum(dwell_milliseconds) as bigint) as dwell_milliseconds,
        count(dwell_milliseconds) as n_dwells,
        {{ last_by('country', '(session_started_at, event_number)') }} as country,
        {{ last_by('device', '(session_started_at, event_number)') }} as device
    from person_events
    group by person_id, event_date
)

select * from final
