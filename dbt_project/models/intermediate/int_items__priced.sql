{#- Where an item's price stands in its category as of a date. Items without a category are compared with each other. -#}
with item_days as (
    select
        days.item_id,
        dates.feature_date,
        {{ rounded(ratio('sum(days.paid_amount)', 'sum(days.n_priced_pieces)')) }} as mean_paid_price
    from {{ ref('int_item_days__counted') }} as days
    inner join {{ ref('int_dates__listed') }} as dates
        on days.event_date <= dates.feature_date and days.event_date > dates.feature_date - 90
    group by days.item_id, dates.feature_date
),

priced as (
    select
        coalesce(catalogue.item_id, item_days.item_id) as item_id,
        coalesce(catalogue.feature_date, item_days.feature_date) as feature_date,
        coalesce(catalogue.category, '') as category,
        coalesce(cast(catalogue.price as double), item_days.mean_paid_price) as price
    from {{ ref('int_items__as_of') }} as catalogue
    full outer join item_days
        on catalogue.item_id = item_days.item_id and catalogue.feature_date = item_days.feature_date
),

ranked as (
    select
        *,
        rank() over (partition by feature_date, category order by price asc) - 1 as n_cheaper,
        count(*) over (partition by feature_date, category, price) as n_equal,
        count(*) over (partition by feature_date, category) as n_items
    from priced
    where price is not null
),

final as (
    select
        item_id,
        feature_date,
        price,
        {{ rounded(ratio('n_cheaper + (n_equal - 1) / 2e0', 'n_items - 1')) }} as price_percentile
    from ranked
)

select * from final
