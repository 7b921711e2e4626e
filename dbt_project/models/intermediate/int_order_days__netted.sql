{{ config(materialized=kept(), pre_hook="{{ forget_stale('order') }}", meta={'kept_by': 'order'}) }}

with order_lines as (
    select * from {{ ref('int_order_lines__priced') }}
    where {{ is_stale('order') }}
),

final as (
    select
        person_id,
        source,
        order_id,
        cast(occurred_at as date) as event_date,
        count(*) filter (where not is_refund) as n_lines,
        count(*) filter (where is_refund) as n_refund_lines,
        cast(sum(gross_amount - refund_amount) as decimal(18, 4)) as net_amount
    from order_lines
    where person_id is not null
    group by person_id, source, order_id, cast(occurred_at as date)
)

select * from final
