{{ config(materialized=kept(), pre_hook="{{ forget_stale('order') }}", meta={'kept_by': 'order'}) }}

with order_lines as (
    select * from {{ ref('int_order_lines__priced') }}
    where {{ is_stale('order') }}
),

orders as (
    select
        source,
        order_id,
        min(person_id) as person_id,
        coalesce(min(occurred_at) filter (where not is_refund), min(occurred_at)) as ordered_at,
        count(*) filter (where not is_refund) as n_lines,
        count(*) filter (where is_refund) as n_refund_lines,
        count(distinct item_id) as n_items,
        sum(gross_amount) as gross_revenue,
        sum(refund_amount) as refunds,
        count(*) filter (where not has_rate) as n_lines_without_rate,
        min(own_currency) as own_currency
    from order_lines
    group by source, order_id
),

final as (
    select
        source,
        order_id,
        person_id,
        ordered_at,
        n_lines,
        n_refund_lines,
        n_items,
        n_lines_without_rate,
        cast(gross_revenue as decimal(18, 4)) as gross_revenue,
        cast(refunds as decimal(18, 4)) as refunds,
        cast(gross_revenue - refunds as decimal(18, 4)) as net_revenue,
        {% if var('currency') %}'{{ var('currency') }}'{% else %}own_currency{% endif %} as currency
    from orders
)

select * from final
