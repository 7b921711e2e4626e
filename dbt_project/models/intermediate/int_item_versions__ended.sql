{{ config(post_hook="{{ find_recategorised_person_days() }}") }}

-- A day's category is that of the day's end: the last version that began by then.
with versions as (
    select
        *,
        row_number() over (
            partition by item_id, cast(updated_at as date) order by updated_at desc, source asc
        ) as recency
    from {{ ref('stg_lake__items') }}
    where updated_at < {{ night_end() }}
),

day_versions as (
    select
        item_id,
        category,
        cast(updated_at as date) as valid_from
    from versions
    where recency = 1
),

final as (
    select
        item_id,
        category,
        valid_from,
        lead(valid_from) over (partition by item_id order by valid_from) as valid_to
    from day_versions
)

select * from final
