with catalogue as (
    select * from {{ ref('int_items__as_of') }}
    where is_run_date
),

observed as (
    select * from {{ ref('int_items__observed') }}
),

final as (
    select
        coalesce(catalogue.item_id, observed.item_id) as item_id,
        coalesce(catalogue.source, observed.source) as source,
        catalogue.title,
        catalogue.text,
        catalogue.category,
        catalogue.brand,
        catalogue.price,
        catalogue.currency,
        catalogue.launched_at,
        observed.first_seen_at,
        observed.last_seen_at,
        coalesce(catalogue.is_available, true) as is_available,
        coalesce(catalogue.is_blocked, false) as is_blocked,
        catalogue.item_id is not null as has_catalogue
    from catalogue
    full outer join observed on catalogue.item_id = observed.item_id
)

select * from final
