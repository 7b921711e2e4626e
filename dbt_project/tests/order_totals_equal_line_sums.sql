-- Lines, and the events of the changed days that they come from; orders, and all lines.
with event_totals as (
    select
        coalesce(sum(quantity * unit_price) filter (where event_type = 'purchase'), 0) as gross_revenue,
        coalesce(sum(abs(quantity) * unit_price) filter (where event_type = 'refund'), 0) as refunds
    from {{ ref('int_events__weighted') }}
    where event_type in ('purchase', 'refund') and order_id is not null and {{ is_changed_day() }}
),

line_totals as (
    select
        coalesce(sum(quantity * unit_price) filter (where event_type = 'purchase'), 0) as gross_revenue,
        coalesce(sum(abs(quantity) * unit_price) filter (where event_type = 'refund'), 0) as refunds,
        coalesce(sum(quantity * unit_price) filter (where event_type = 'purchase' and {{ is_changed_day() }}), 0) as changed_gross_revenue,
        coalesce(sum(abs(quantity) * unit_price) filter (where event_type = 'refund' and {{ is_changed_day() }}), 0) as changed_refunds,
        -- Amounts that were converted are no sums of the events'.
        count(*) filter (where currency <> '{{ var("currency") }}') as n_converted
    from {{ ref('int_order_lines__collected') }}
),

order_totals as (
    select
        coalesce(sum(gross_revenue), 0) as gross_revenue,
        coalesce(sum(refunds), 0) as refunds
    from {{ ref('fct_orders') }}
)

select
    event_totals.gross_revenue as event_gross_revenue,
    event_totals.refunds as event_refunds,
    line_totals.*,
    order_totals.gross_revenue as order_gross_revenue,
    order_totals.refunds as order_refunds
from event_totals
cross join line_totals
cross join order_totals
where
    abs(event_totals.gross_revenue - line_totals.changed_gross_revenue) >= 0.01
    or abs(event_totals.refunds - line_totals.changed_refunds) >= 0.01
    or (
        line_totals.n_converted = 0
        and (
            abs(line_totals.gross_revenue - order_totals.gross_revenue) >= 0.01
            or abs(line_totals.refunds - order_totals.refunds) >= 0.01
        )
    )
