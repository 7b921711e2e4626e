with source as (
    select * from {{ source('lake', 'persons') }}
),

renamed as (
    select
        alias_id,
        person_id,
        source,
        is_anonymous
    from source
)

select * from renamed
