{%- set is_in_window = "lines.event_date <= {day} and lines.event_date > {day} - " ~ var('copurchase_days') -%}
{%- set is_usual = "items.n_items_{n} between 2 and " ~ var('copurchase_max_items') -%}
{%- set are_both = "items.is_in_{n} = 1 and partners.is_in_{n} = 1 and " ~ is_usual -%}
with order_items as (
    select
        lines.source,
        lines.order_id,
        {{ at_each_date('max(case when ' ~ is_in_window ~ ' then 1 else 0 end)', 'is_in') }}
        {{ at_each_date('min(case when ' ~ is_in_window ~ ' then persons.person_id end)', 'person_id') }}
        lines.item_id
    from {{ ref('int_order_lines__collected') }} as lines
    left join {{ ref('stg_lake__persons') }} as persons on lines.visitor_id = persons.alias_id
    where
        lines.event_type = 'purchase'
        and lines.weight > 0
        and lines.item_id is not null
        and {{ at_any_date(is_in_window) }}
    group by lines.source, lines.order_id, lines.item_id
),

baskets as (
    select
        {{ at_each_date('sum(is_in_{n}) over (partition by source, order_id)', 'n_items') }}
        *
    from order_items
),

pairs as (
    select
        items.item_id,
        {{ at_each_date('count(*) filter (where ' ~ are_both ~ ')', 'n_orders') }}
        {{ at_each_date('count(distinct items.person_id_{n}) filter (where ' ~ are_both ~ ')', 'n_persons') }}
        partners.item_id as partner_item_id
    from baskets as items
    inner join baskets as partners
        on
            items.source = partners.source
            and items.order_id = partners.order_id
            and items.item_id <> partners.item_id
    where {{ at_any_date(is_usual) }}
    group by items.item_id, partners.item_id
),

dated as (
    select
        dates.feature_date,
        pairs.item_id,
        pairs.partner_item_id,
        {{ at_its_date('pairs.n_orders', 'dates.feature_date') }} as n_orders,
        {{ at_its_date('pairs.n_persons', 'dates.feature_date') }} as n_persons
    from pairs
    cross join {{ ref('int_dates__listed') }} as dates
),

ranked as (
    select
        *,
        row_number() over (
            partition by feature_date, item_id order by n_orders desc, n_persons desc, partner_item_id asc
        ) as rank
    from dated
    where n_orders > 0
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
