-- Orders, and their lines summed straight from the events.
with event_totals as (
    select
        coalesce(sum(quantity * unit_price) filter (where event_type = 'purchase'), 0) as gross_revenue,
        coalesce(sum(abs(quantity) * unit_price) filter (where event_type = 'refund'), 0) as refunds
    from {{ ref('int_events__weighted') }}
    where event_type in ('purchase', 'refund') and order_id is not null
),

order_totals as (
    select
        coalesce(sum(gross_revenue), 0) as gross_revenue,
        coalesce(sum(refunds), 0) as refunds
    from {{ ref('fct_orders') }}
)

select
    event_totals.gross_revenue,
    event_totals.refunds,
    order_totals.gross_revenue as order_gross_revenue,
    order_totals.refunds as order_refunds
from event_totals
cross join order_totals
where
    -- Amounts that were converted are no sums of the events'.
    not exists (
        select 1 from {{ ref('int_order_lines__collected') }} as order_lines
        where order_lines.currency <> '{{ var("currency") }}'
    )
    and (
        abs(event_totals.gross_revenue - order_totals.gross_revenue) >= 0.01
        or abs(event_totals.refunds - order_totals.refunds) >= 0.01
    )
