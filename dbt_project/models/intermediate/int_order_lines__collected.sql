{{ config(
    materialized=kept(),
    pre_hook=["{{ put_stale_orders_aside() }}", "{{ forget_stale('day') }}"],
    post_hook="{{ find_stale_orders() }}"
) }}

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
