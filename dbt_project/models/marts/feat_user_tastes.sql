with categories as (
    select * from {{ ref('feat_user_categories') }}
),

final as (
    select
        person_id,
        feature_date,
        count(*) filter (where n_events_28d > 0) as n_categories_28d,
        count(*) as n_categories_90d,
        {{ entropy('n_events_28d') }} as category_entropy_28d,
        {{ entropy('n_events_90d') }} as category_entropy_90d,
        max(category) filter (where category_rank = 1) as top_category_90d,
        max(share_90d) filter (where category_rank = 1) as top_category_share_90d,
        max(days_since_last_event) filter (where category_rank = 1) as days_since_top_category,
        {{ divergence('share_7d', 'share_90d') }} as preference_shift_7d,
        {{ divergence('share_28d', 'share_90d') }} as preference_shift_28d
    from categories
    group by person_id, feature_date
)

select * from final
