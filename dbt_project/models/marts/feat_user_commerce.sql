with consenting_persons as (
    select person_id from {{ ref('int_persons__consented') }}
    where has_personalisation_consent
),

days as (
    select
        days.person_id,
        dates.feature_date,
        days.event_date,
        days.n_purchases,
        days.n_add_to_carts > 0 as is_cart_day,
        days.n_add_to_carts > 0 and days.n_purchases = 0 as is_abandoned,
        quarter(days.event_date) as quarter_of_year
    from {{ ref('int_person_days__aggregated') }} as days
    inner join consenting_persons on days.person_id = consenting_persons.person_id
    inner join {{ ref('int_dates__listed') }} as dates on days.event_date <= dates.feature_date
    where days.n_add_to_carts > 0 or days.n_purchases > 0
),

carts as (
    select
        person_id,
        feature_date,
        {% for n in (28, 90) %}
            count(*) filter (where is_cart_day and event_date > feature_date - {{ n }}) as n_cart_days_{{ n }}d,
            count(*) filter (where is_abandoned and event_date > feature_date - {{ n }}) as n_abandoned_cart_days_{{ n }}d,
        {% endfor %}
        count(*) filter (where n_purchases > 0) as n_purchase_days,
        {% for quarter in range(1, 5) %}
            count(*) filter (where n_purchases > 0 and quarter_of_year = {{ quarter }}) as n_purchase_days_q{{ quarter }},
        {% endfor %}
        {{ days_between('min(event_date) filter (where n_purchases > 0)', 'feature_date') }} as days_since_first_purchase
    from days
    group by person_id, feature_date
),

choices as (
    select
        baskets.person_id,
        dates.feature_date,
        cast(sum(baskets.n_purchases) as bigint) as n_priced_purchases_90d,
        cast(coalesce(sum(baskets.n_purchases) filter (where prices.price_percentile < 5e-1), 0) as bigint) as n_cheap_purchases_90d,
        sum(cast(baskets.n_purchases as integer) * {{ exact('prices.price_percentile') }}) as purchase_percentiles,
        cast(sum(baskets.n_add_to_carts) as bigint) as n_priced_add_to_carts_90d,
        sum(cast(baskets.n_add_to_carts as integer) * {{ exact('prices.price_percentile') }}) as cart_percentiles
    from {{ ref('int_person_day_baskets__counted') }} as baskets
    inner join consenting_persons on baskets.person_id = consenting_persons.person_id
    inner join {{ ref('int_dates__listed') }} as dates
        on baskets.event_date <= dates.feature_date and baskets.event_date > dates.feature_date - 90
    inner join {{ ref('int_items__priced') }} as prices
        on baskets.item_id = prices.item_id and dates.feature_date = prices.feature_date
    where prices.price_percentile is not null
    group by baskets.person_id, dates.feature_date
),

final as (
    select
        carts.person_id,
        carts.feature_date,
        {% for n in (28, 90) %}
            carts.n_cart_days_{{ n }}d,
            carts.n_abandoned_cart_days_{{ n }}d,
            {{ share('carts.n_abandoned_cart_days_' ~ n ~ 'd', 'carts.n_cart_days_' ~ n ~ 'd') }} as cart_abandonment_rate_{{ n }}d,
        {% endfor %}
        coalesce(choices.n_priced_purchases_90d, 0) as n_priced_purchases_90d,
        {{ share('choices.purchase_percentiles', 'choices.n_priced_purchases_90d') }} as bought_price_percentile_90d,
        {{ share('choices.cart_percentiles', 'choices.n_priced_add_to_carts_90d') }} as carted_price_percentile_90d,
        {{ share('choices.n_cheap_purchases_90d', 'choices.n_priced_purchases_90d') }} as below_median_share_90d,
        carts.n_purchase_days,
        carts.days_since_first_purchase,
        {{ share('greatest(carts.n_purchase_days_q1, carts.n_purchase_days_q2, carts.n_purchase_days_q3, carts.n_purchase_days_q4)',
            'carts.n_purchase_days') }} as top_quarter_share
    from carts
    left join choices on carts.person_id = choices.person_id and carts.feature_date = choices.feature_date
)

select * from final
