{#- `concat_ws` leaves out what is NULL, in DuckDB as in Spark. -#}
with catalogue as (
    select * from {{ ref('int_items__as_of') }}
),

joined as (
    select
        *,
        nullif(trim(concat_ws(' ', title, category, brand, text)), '') as content
    from catalogue
),

final as (
    select
        item_id,
        feature_date,
        title,
        text,
        category,
        brand,
        content,
        cast(coalesce(length(content), 0) as bigint) as n_characters
    from joined
)

select * from final
