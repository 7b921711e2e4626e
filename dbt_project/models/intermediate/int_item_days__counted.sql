{{ config(materialized=kept(), pre_hook="{{ forget_stale('day') }}") }}

with item_events as (
    select
        *,
        event_type = 'purchase' and weight > 0 as is_purchase
    from {{ ref('int_events__weighted') }}
    where item_id is not null and {{ is_stale('day') }}
),

source_days as (
    select
        item_id,
        event_date,
        source,
        count(*) as n_events,
        count(*) filter (where event_type = 'view') as n_views,
        count(*) filter (where event_type = 'add_to_cart') as n_add_to_carts,
        count(*) filter (where is_purchase) as n_purchases,
        coalesce(sum(quantity) filter (where is_purchase and unit_price > 0), 0) as n_priced_pieces,
        coalesce(sum(quantity * unit_price) filter (where is_purchase and unit_price > 0), 0) as paid_amount,
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at
    from item_events
    group by item_id, event_date, source
),

final as (
    select
        item_id,
        event_date,
        cast(sum(n_events) as bigint) as n_events,
        cast(sum(n_views) as bigint) as n_views,
        cast(sum(n_add_to_carts) as bigint) as n_add_to_carts,
        cast(sum(n_purchases) as bigint) as n_purchases,
        cast(sum(n_priced_pieces) as decimal(18, 3)) as n_priced_pieces,
        cast(sum(paid_amount) as decimal(18, 4)) as paid_amount,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at,
        {{ first_by('source', '(first_seen_at, source)') }} as source
    from source_days
    group by item_id, event_date
)

select * from final
