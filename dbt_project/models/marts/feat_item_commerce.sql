with windowed as (
    select
        days.item_id,
        dates.feature_date,
        {% for kind in ('views', 'add_to_carts', 'purchases') %}
            cast(coalesce(sum(days.n_{{ kind }}) filter (
                where days.event_date > dates.feature_date - 28
            ), 0) as bigint) as n_{{ kind }}_28d,
        {% endfor %}
        count(*) filter (where days.event_date > dates.feature_date - 28) as n_active_days_28d,
        {{ days_between('max(days.event_date)', 'dates.feature_date') }} as days_since_last_event
    from {{ ref('int_item_days__counted') }} as days
    inner join {{ ref('int_dates__listed') }} as dates on days.event_date <= dates.feature_date
    group by days.item_id, dates.feature_date
),

counted as (
    select
        items.item_id,
        items.feature_date,
        {% for kind in ('views', 'add_to_carts', 'purchases') %}
            coalesce(windowed.n_{{ kind }}_28d, 0) as n_{{ kind }}_28d,
        {% endfor %}
        coalesce(windowed.n_active_days_28d, 0) as n_active_days_28d,
        windowed.days_since_last_event,
        items.days_since_launch,
        items.days_since_first_event
    from {{ ref('feat_item_popularity') }} as items
    left join windowed on items.item_id = windowed.item_id and items.feature_date = windowed.feature_date
),

rated as (
    select
        *,
        {{ ratio('sum(n_add_to_carts_28d) over site', 'sum(n_views_28d) over site') }} as view_to_cart,
        {{ ratio('sum(n_purchases_28d) over site', 'sum(n_add_to_carts_28d) over site') }} as cart_to_purchase,
        {{ ratio('sum(n_purchases_28d) over site', 'sum(n_views_28d) over site') }} as view_to_purchase
    from counted
    window site as (partition by feature_date)
),

final as (
    select
        rated.item_id,
        rated.feature_date,
        rated.n_views_28d,
        rated.n_add_to_carts_28d,
        rated.n_purchases_28d,
        {{ conversion('rated.n_add_to_carts_28d', 'rated.n_views_28d', 'rated.view_to_cart') }} as view_to_cart_rate_28d,
        {{ conversion('rated.n_purchases_28d', 'rated.n_add_to_carts_28d', 'rated.cart_to_purchase') }} as cart_to_purchase_rate_28d,
        {{ conversion('rated.n_purchases_28d', 'rated.n_views_28d', 'rated.view_to_purchase') }} as view_to_purchase_rate_28d,
        rated.n_active_days_28d,
        rated.days_since_last_event,
        coalesce(rated.days_since_launch, rated.days_since_first_event) as age_days,
        coalesce(catalogue.is_available, true) as is_available,
        coalesce(catalogue.is_blocked, false) as is_blocked,
        catalogue.category,
        prices.price,
        prices.price_percentile
    from rated
    left join {{ ref('int_items__as_of') }} as catalogue
        on rated.item_id = catalogue.item_id and rated.feature_date = catalogue.feature_date
    left join {{ ref('int_items__priced') }} as prices
        on rated.item_id = prices.item_id and rated.feature_date = prices.feature_date
)

select * from final
