with purchases as (
    select
        person_id,
        feature_date,
        recency_days,
        n_orders as frequency,
        net_revenue as monetary,
        tenure_days
    from {{ ref('feat_user_purchases') }}
),

scored as (
    select
        *,
        {{ quintile('recency_days', 'desc') }} as r_score,
        {{ quintile('frequency') }} as f_score,
        {{ quintile('monetary') }} as m_score
    from purchases
),

final as (
    select
        scored.person_id,
        scored.feature_date,
        scored.recency_days,
        scored.frequency,
        scored.monetary,
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
