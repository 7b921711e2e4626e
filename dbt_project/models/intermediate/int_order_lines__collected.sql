{{ config(materialized=kept(), pre_hook="{{ forget_stale('day') }}") }}

with final as (
    select
        event_id,
        source,
        event_date,
        occurred_at,
        event_type,
        visitor_id,
        item_id,
        order_id,
        quantity,
        unit_price,
        currency,
        weight
    from {{ ref('int_events__weighted') }}
    where event_type in ('purchase', 'refund') and order_id is not null and {{ is_stale('day') }}
)

select * from final
