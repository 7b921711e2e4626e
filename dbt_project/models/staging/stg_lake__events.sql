with source as (
    select * from {{ source('lake', 'events') }}
),

renamed as (
    select
        event_id,
        source,
        event_type,
        occurred_at,
        event_date,
        user_id,
        anonymous_id,
        item_id,
        order_id,
        quantity,
        unit_price,
        currency,
        search_term,
        dwell_seconds,
        device,
        country,
        referrer,
        properties,
        coalesce(is_bot, false) as is_bot
    from source
)

select * from renamed
