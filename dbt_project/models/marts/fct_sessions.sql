with person_events as (
    select * from {{ ref('int_events__sessionised') }}
),

sessions as (
    select
        person_id,
        session_number,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        count(*) as n_events,
        count(distinct item_id) as n_items,
        {{ first_by('source', 'event_number') }} as source,
        {{ first_by('item_id', 'event_number') }} as entry_item_id,
        {{ last_by('item_id', 'event_number') }} as exit_item_id,
        {{ first_by('device', 'event_number') }} as device,
        {{ first_by('country', 'event_number') }} as country,
        {{ first_by('referrer', 'event_number') }} as referrer
    from person_events
    group by person_id, session_number
),

final as (
    select
        -- A person's sessions lie apart by more than the idle time: person and start are a key that later events do not change.
        {{ key_of(['person_id', 'started_at']) }} as session_key,
        source,
        person_id,
        started_at,
        ended_at,
        {{ seconds_between('started_at', 'ended_at') }} as duration_seconds,
        n_events,
        n_items,
        entry_item_id,
        exit_item_id,
        device,
        country,
        referrer,
        n_events = 1 as is_bounce
    from sessions
)

select * from final
