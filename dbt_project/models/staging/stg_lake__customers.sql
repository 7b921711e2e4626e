with source as (
    select * from {{ source('lake', 'customers') }}
),

renamed as (
    select
        source,
        user_id,
        updated_at,
        registered_at,
        country,
        language,
        birth_year
    from source
)

select * from renamed
