with source as (
    select * from {{ source('lake', 'consents') }}
),

renamed as (
    select
        source,
        user_id,
        purpose,
        is_granted,
        changed_at
    from source
)

select * from renamed
