{{ config(materialized=kept(), pre_hook="{{ forget_stale('person_day') }}") }}

with final as (
    select
        source,
        person_id,
        event_date,
        item_id,
        count(*) filter (where event_type = 'add_to_cart') as n_add_to_carts,
        count(*) filter (where event_type = 'purchase') as n_purchases
    from {{ fresh_events(ref('int_events__sessionised')) }}
    where
        item_id is not null
        and weight > 0
        and event_type in ('add_to_cart', 'purchase')
    group by source, person_id, event_date, item_id
)

select * from final
