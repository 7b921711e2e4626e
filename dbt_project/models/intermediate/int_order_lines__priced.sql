{{ config(materialized=not_kept()) }}

with order_lines as (
    select
        collected.*,
        persons.person_id
    from {{ ref('int_order_lines__collected') }} as collected
    left join {{ ref('stg_lake__persons') }} as persons on collected.visitor_id = persons.alias_id
),

rates as (
    select
        currency,
        valid_from,
        rate,
        lead(valid_from) over (partition by currency order by valid_from) as valid_to
    from {{ ref('exchange_rates') }}
),

-- A line without a currency is in the site's own.
exchanged as (
    select
        order_lines.*,
        case
            when coalesce(order_lines.currency, '{{ var("currency") }}') = '{{ var("currency") }}' then 1
            else rates.rate
        end as rate,
        -- Some sources send what comes back as a negative quantity.
        cast(
            case when order_lines.event_type = 'refund' then abs(coalesce(order_lines.quantity, 1)) else coalesce(order_lines.quantity, 1) end
            * coalesce(order_lines.unit_price, 0) as decimal(18, 4)
        ) as own_amount
    from order_lines
    left join rates
        on
            order_lines.currency = rates.currency
            and order_lines.event_date >= rates.valid_from
            and (order_lines.event_date < rates.valid_to or rates.valid_to is null)
),

final as (
    select
        event_id,
        source,
        order_id,
        person_id,
        item_id,
        occurred_at,
        currency as own_currency,
        event_type = 'refund' as is_refund,
        rate is not null as has_rate,
        cast(case when event_type = 'refund' then 0 else own_amount * coalesce(rate, 0) end as decimal(18, 4)) as gross_amount,
        cast(case when event_type = 'refund' then own_amount * coalesce(rate, 0) else 0 end as decimal(18, 4)) as refund_amount
    from exchanged
)

select * from final
