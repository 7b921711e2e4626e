{%- set key = 'case when person_id is not null then ' ~ person_key('person_id') ~ ' end' -%}
with activity as (
    select
        source,
        cast(started_at as date) as event_date,
        {{ key }} as person_key,
        1 as n_sessions,
        case when is_bounce then 1 else 0 end as n_bounces,
        {{ nearest_integer('1000 * duration_seconds') }} as session_milliseconds,
        0 as n_carts,
        0 as n_orders,
        cast(0 as decimal(18, 4)) as gross_revenue,
        cast(0 as decimal(18, 4)) as refunds
    from {{ ref('fct_sessions') }}
    union all
    select
        source,
        cast(ordered_at as date) as event_date,
        {{ key }} as person_key,
        0 as n_sessions,
        0 as n_bounces,
        cast(0 as bigint) as session_milliseconds,
        0 as n_carts,
        case when n_lines > 0 then 1 else 0 end as n_orders,
        gross_revenue,
        refunds
    from {{ ref('fct_orders') }}
    union all
    select
        source,
        event_date,
        {{ key }} as person_key,
        0 as n_sessions,
        0 as n_bounces,
        cast(0 as bigint) as session_milliseconds,
        1 as n_carts,
        0 as n_orders,
        cast(0 as decimal(18, 4)) as gross_revenue,
        cast(0 as decimal(18, 4)) as refunds
    from {{ ref('int_person_day_baskets__counted') }}
    where n_add_to_carts > 0
),

-- What has no person has one row for a source and day.
person_days as (
    select
        source,
        event_date,
        person_key,
        {% for measure in ('n_sessions', 'n_bounces', 'session_milliseconds', 'n_carts', 'n_orders', 'gross_revenue') %}
            sum({{ measure }}) as {{ measure }},
        {% endfor %}
        sum(refunds) as refunds
    from activity
    group by source, event_date, person_key
),

final as (
    select
        source,
        event_date,
        count(person_key) filter (where n_sessions > 0) as n_visitors,
        cast(sum(n_sessions) as bigint) as n_sessions,
        {{ rounded(ratio('sum(n_bounces)', 'sum(n_sessions)')) }} as bounce_rate,
        {{ rounded(ratio('sum(session_milliseconds)', '1000 * sum(n_sessions)')) }} as avg_session_seconds,
        cast(sum(n_orders) as bigint) as n_orders,
        count(person_key) filter (where n_orders > 0) as n_buyers,
        {{ rounded(ratio('count(person_key) filter (where n_orders > 0 and n_sessions > 0)', 'count(person_key) filter (where n_sessions > 0)')) }}
            as conversion_rate,
        {{ rounded(ratio('count(person_key) filter (where n_orders = 0 and n_carts > 0)', 'count(person_key) filter (where n_carts > 0)')) }}
            as cart_abandonment_rate,
        cast(sum(gross_revenue) as decimal(18, 4)) as gross_revenue,
        cast(sum(refunds) as decimal(18, 4)) as refunds,
        cast(sum(gross_revenue - refunds) as decimal(18, 4)) as net_revenue,
        {{ rounded(ratio('sum(gross_revenue)', 'sum(n_orders)')) }} as avg_order_value
    from person_days
    group by source, event_date
)

select * from final
