{{ config(materialized=not_kept()) }}

with order_lines as (
    select
        collected.*,
        persons.person_id
    from {{ ref('int_order_lines__collected') }} as collected
    left join {{ ref('stg_lake__persons') }} as persons on collected.visitor_id = persons.alias_id
),

final as (
    select
        event_id,
        source,
        order_id,
        person_id,
        item_id,
        occurred_at,
        currency,
        event_type = 'refund' as is_refund,
        -- Some sources send what comes back as a negative quantity.
        cast(case
            when event_type = 'refund' then 0
            else coalesce(quantity, 1) * coalesce(unit_price, 0)
        end as decimal(18, 4)) as gross_amount,
        cast(case
            when event_type = 'refund' then abs(coalesce(quantity, 1)) * coalesce(unit_price, 0)
            else 0
        end as decimal(18, 4)) as refund_amount
    from order_lines
)

select * from final
