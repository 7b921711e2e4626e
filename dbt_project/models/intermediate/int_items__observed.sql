with item_events as (
    select * from {{ ref('int_events__identified') }}
    where item_id is not null
),

final as (
    select
        item_id,
        {{ first_by('source', '(occurred_at, event_id)') }} as source,
        min(occurred_at) as first_seen_at,
        max(occurred_at) as last_seen_at
    from item_events
    group by item_id
)

select * from final
