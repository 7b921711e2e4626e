{{ config(materialized=kept(), pre_hook="{{ forget_stale('person_day') }}") }}

with person_events as (
    select * from {{ fresh_events(ref('int_events__sessionised')) }}
),

sessions as (
    select
        person_id,
        session_started_at as started_at,
        max(occurred_at) as ended_at,
        count(*) as n_events,
        count(*) filter (where event_type = 'view') as n_views,
        count(distinct item_id) as n_items,
        cast(sum(dwell_milliseconds) as bigint) as dwell_milliseconds,
        max(scroll_percent) as max_scroll_percent,
        {{ first_by('source', 'event_number') }} as source,
        {{ first_by('item_id', 'event_number') }} as entry_item_id,
        {{ last_by('item_id', 'event_number') }} as exit_item_id,
        {{ first_by('device', 'event_number') }} as device,
        {{ first_by('country', 'event_number') }} as country,
        {{ first_by('referrer', 'event_number') }} as referrer
    from person_events
    group by person_id, session_started_at
),

final as (
    select
        -- A person's sessions lie apart by more than the idle time: person and start are a key that later events do not change.
        {{ key_of(['person_id', 'started_at']) }} as session_key,
        source,
        person_id,
        started_at,
        cast(started_at as date) as event_date,
        ended_at,
        {{ seconds_between('started_at', 'ended_at') }} as duration_seconds,
        n_events,
        n_views,
        n_items,
        {{ rounded('dwell_milliseconds / 1e3') }} as dwell_seconds,
        max_scroll_percent,
        entry_item_id,
        exit_item_id,
        device,
        country,
        referrer,
        n_events = 1 as is_bounce
    from sessions
)

select * from final
