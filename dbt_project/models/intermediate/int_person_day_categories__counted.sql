{{ config(materialized=kept(), pre_hook="{{ forget_stale('person_day_items') }}") }}

with person_events as (
    select * from {{ fresh_events(ref('int_events__sessionised')) }}
    {{ recategorised_events(ref('int_events__sessionised')) }}
),

person_day_items as (
    select
        person_id,
        event_date,
        item_id,
        count(*) as n_events
    from person_events
    where item_id is not null and weight > 0
    group by person_id, event_date, item_id
),

final as (
    select
        days.person_id,
        days.event_date,
        versions.category,
        cast(sum(days.n_events) as bigint) as n_events
    from person_day_items as days
    inner join {{ ref('int_item_versions__ended') }} as versions
        on
            days.item_id = versions.item_id
            and days.event_date >= versions.valid_from
            and (days.event_date < versions.valid_to or versions.valid_to is null)
    where versions.category is not null
    group by days.person_id, days.event_date, versions.category
)

select * from final
