with source as (
    select * from {{ source('lake', 'items') }}
),

renamed as (
    select
        source,
        item_id,
        updated_at,
        title,
        text,
        category,
        brand,
        price,
        currency,
        launched_at,
        coalesce(is_available, true) as is_available,
        coalesce(is_blocked, false) as is_blocked
    from source
)

select * from renamed
