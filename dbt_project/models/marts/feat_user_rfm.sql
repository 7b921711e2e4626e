with orders_as_of as (
    select
        lines.person_id,
        dates.feature_date,
        lines.source,
        lines.order_id,
        min(lines.occurred_at) filter (where not lines.is_refund) as ordered_at,
        sum(lines.gross_amount - lines.refund_amount) as net_revenue
    from {{ ref('int_order_lines__priced') }} as lines
    inner join {{ ref('int_dates__listed') }} as dates on lines.occurred_at < dates.window_end
    inner join {{ ref('int_persons__consented') }} as persons on lines.person_id = persons.person_id
    where persons.has_personalisation_consent
    group by lines.person_id, dates.feature_date, lines.source, lines.order_id
),

person_orders as (
    select
        person_id,
        feature_date,
        {{ days_between('max(ordered_at)', 'feature_date') }} as recency_days,
        count(ordered_at) as frequency,
        sum(net_revenue) as monetary,
        {{ days_between('min(ordered_at)', 'feature_date') }} as tenure_days
    from orders_as_of
    group by person_id, feature_date
    -- Who has only sent things back has bought before the first landed day: there is no order to speak of.
    having count(ordered_at) > 0
),

scored as (
    select
        *,
        {{ quintile('recency_days', 'desc') }} as r_score,
        {{ quintile('frequency') }} as f_score,
        {{ quintile('monetary') }} as m_score
    from person_orders
),

final as (
    select
        scored.person_id,
        scored.feature_date,
        scored.recency_days,
        scored.frequency,
        {{ rounded('scored.monetary') }} as monetary,
        scored.tenure_days,
        cast(scored.r_score as integer) as r_score,
        cast(scored.f_score as integer) as f_score,
        cast(scored.m_score as integer) as m_score,
        segments.rfm_segment
    from scored
    -- Frequency and money as one score: their mean, halves rounded up.
    left join {{ ref('rfm_segments') }} as segments
        on
            scored.r_score between segments.r_min and segments.r_max
            and {{ int_division('scored.f_score + scored.m_score + 1', '2') }} between segments.fm_min and segments.fm_max
)

select * from final
