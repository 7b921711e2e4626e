{{ config(materialized=kept(), pre_hook="{{ forget_stale('day') }}") }}

with item_events as (
    select
        item_id,
        event_date,
        event_type,
        occurred_at,
        coalesce(country, '') as country,
        coalesce(device, '') as device,
        {{ end_of('event_date') }} as day_end
    from {{ ref('int_events__weighted') }}
    where item_id is not null and weight > 0 and {{ is_stale('day') }}
),

final as (
    select
        item_id,
        event_date,
        country,
        device,
        count(*) as n_events,
        count(*) filter (where occurred_at >= day_end - interval '6' hour) as n_events_last_6h,
        count(*) filter (where occurred_at >= day_end - interval '1' hour) as n_events_last_1h,
        count(*) filter (where occurred_at >= day_end - interval '15' minute) as n_events_last_15m,
        count(*) filter (where event_type = 'purchase') as n_purchases
    from item_events
    group by item_id, event_date, country, device
)

select * from final
