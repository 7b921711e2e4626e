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
        min_by(source, event_number) as source,
        min_by(item_id, event_number) filter (where item_id is not null) as entry_item_id,
        max_by(item_id, event_number) filter (where item_id is not null) as exit_item_id,
        min_by(device, event_number) filter (where device is not null) as device,
        min_by(country, event_number) filter (where country is not null) as country,
        min_by(referrer, event_number) filter (where referrer is not null) as referrer
    from person_events
    group by person_id, session_number
),

final as (
    select
        -- A person's sessions lie apart by more than the idle time: person and start are a key that later events do not change.
        md5(person_id || ' ' || cast(started_at as varchar)) as session_key,
        source,
        person_id,
        started_at,
        ended_at,
        cast(extract(epoch from ended_at) - extract(epoch from started_at) as double) as duration_seconds,
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
