with orders_as_of as (
    select
        order_days.person_id,
        dates.feature_date,
        order_days.source,
        order_days.order_id,
        min(order_days.event_date) filter (where order_days.n_lines > 0) as order_date,
        sum(order_days.net_amount) as net_amount
    from {{ ref('int_order_days__netted') }} as order_days
    inner join {{ ref('int_dates__listed') }} as dates on order_days.event_date <= dates.feature_date
    inner join {{ ref('int_persons__consented') }} as persons on order_days.person_id = persons.person_id
    where persons.has_personalisation_consent
    group by order_days.person_id, dates.feature_date, order_days.source, order_days.order_id
),

-- A return under a number of its own belongs to no day.
purchase_days as (
    select
        person_id,
        feature_date,
        order_date,
        count(order_date) as n_orders,
        sum(net_amount) as net_amount
    from orders_as_of
    group by person_id, feature_date, order_date
),

spaced_days as (
    select
        *,
        min(order_date) over (partition by person_id, feature_date) as earliest_date,
        {{ days_between(
            'lag(order_date) over (partition by person_id, feature_date order by order_date nulls first)', 'order_date'
        ) }} as gap_days
    from purchase_days
),

histories as (
    select
        person_id,
        feature_date,
        sum(n_orders) as n_orders,
        count(order_date) as n_purchase_days,
        min(order_date) as first_date,
        max(order_date) as last_date,
        sum(net_amount) as net_revenue,
        {{ ratio('sum(net_amount) filter (where order_date > earliest_date)', 'count(order_date) - 1') }} as repeat_value,
        {{ ratio('sum(net_amount)', 'sum(net_amount) filter (where order_date is not null)') }} as kept_share,
        median(gap_days) as median_gap
    from spaced_days
    group by person_id, feature_date
    -- Who has only sent things back has bought before the first landed day: there is no order to speak of.
    having count(order_date) > 0
),

final as (
    select
        person_id,
        feature_date,
        cast(n_orders as bigint) as n_orders,
        n_purchase_days,
        {{ days_between('last_date', 'feature_date') }} as recency_days,
        {{ days_between('first_date', 'feature_date') }} as tenure_days,
        {{ rounded('net_revenue') }} as net_revenue,
        {{ rounded(ratio('net_revenue', 'n_orders')) }} as avg_order_value,
        n_purchase_days - 1 as n_repeat_days,
        {{ days_between('first_date', 'last_date') }} as repeat_span_days,
        {{ rounded(ratio(days_between('first_date', 'last_date'), 'n_purchase_days - 1')) }} as avg_days_between,
        {{ rounded('median_gap') }} as median_days_between,
        -- Returns that belong to no day are taken from all days alike.
        case when n_purchase_days > 1 then {{ rounded('greatest(repeat_value * coalesce(kept_share, 0e0), 0e0)') }} end as avg_repeat_value
    from histories
)

select * from final
