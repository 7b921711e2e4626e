{{ config(materialized=kept(), pre_hook="{{ forget_stale('day') }}") }}

with item_events as (
    select
        *,
        event_type = 'purchase' and weight > 0 as is_purchase
    from {{ ref('int_events__identified') }}
    where item_id is not null and {{ is_stale('day') }}
),

final as (
    select
        item_id,
        event_date,
        count(*) as n_events,
        count(*) filter (where event_type = 'view') as n_views,
        count(*) filter (where event_type = 'add_to_cart') as n_add_to_carts,
        count(*) filter (where is_purchase) as n_purchases,
        cast(coalesce(sum(quantity) filter (where is_purchase and unit_price > 0), 0) as decimal(18, 3)) as n_priced_pieces,
        cast(coalesce(sum(quantity * unit_price) filter (where is_purchase and unit_price > 0), 0) as decimal(18, 4)) as paid_amount,
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at,
        {{ first_by('source', '(occurred_at, event_id)') }} as source
    from item_events
    group by item_id, event_date
)

select * from final
