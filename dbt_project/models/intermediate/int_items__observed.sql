with item_days as (
    select * from {{ ref('int_item_days__counted') }}
),

final as (
    select
        item_id,
        {{ first_by('source', 'event_date') }} as source,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at
    from item_days
    group by item_id
)

select * from final
