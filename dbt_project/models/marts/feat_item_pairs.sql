with order_items as (
    select
        dates.feature_date,
        lines.source,
        lines.order_id,
        lines.item_id,
        min(lines.person_id) as person_id
    from {{ ref('int_events__identified') }} as lines
    inner join {{ ref('int_dates__listed') }} as dates
        on
            lines.event_date <= dates.feature_date
            and lines.event_date > dates.feature_date - {{ var('copurchase_days') }}
    where lines.event_type = 'purchase' and lines.weight > 0 and lines.order_id is not null and lines.item_id is not null
    group by dates.feature_date, lines.source, lines.order_id, lines.item_id
),

baskets as (
    select
        *,
        count(*) over (partition by feature_date, source, order_id) as n_items
    from order_items
),

usual_baskets as (
    select * from baskets
    where n_items between 2 and {{ var('copurchase_max_items') }}
),

pairs as (
    select
        items.feature_date,
        items.item_id,
        partners.item_id as partner_item_id,
        count(*) as n_orders,
        count(distinct items.person_id) as n_persons
    from usual_baskets as items
    inner join usual_baskets as partners
        on
            items.feature_date = partners.feature_date
            and items.source = partners.source
            and items.order_id = partners.order_id
            and items.item_id <> partners.item_id
    group by items.feature_date, items.item_id, partners.item_id
),

ranked as (
    select
        *,
        row_number() over (
            partition by feature_date, item_id order by n_orders desc, n_persons desc, partner_item_id asc
        ) as rank
    from pairs
),

final as (
    select
        feature_date,
        item_id,
        cast(rank as integer) as rank,
        partner_item_id,
        n_orders,
        n_persons
    from ranked
    where rank <= {{ var('copurchase_top') }}
)

select * from final
