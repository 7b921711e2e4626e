{{ config(materialized=not_kept()) }}

with item_events as (
    select * from {{ ref('int_events__identified') }}
    where item_id is not null and weight > 0
),

persons as (
    select * from {{ ref('int_persons__consented') }}
),

final as (
    select
        item_events.event_id,
        item_events.source,
        item_events.person_id,
        item_events.item_id,
        item_events.event_type,
        item_events.occurred_at,
        item_events.event_date,
        item_events.weight,
        item_events.country,
        item_events.device,
        coalesce(persons.has_personalisation_consent, false) as is_personal
    from item_events
    left join persons on item_events.person_id = persons.person_id
)

select * from final
