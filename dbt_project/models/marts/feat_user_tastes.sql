with tastes as (
    select
        person_key,
        feature_date,
        count(*) filter (where n_events_28d > 0) as n_categories_28d,
        count(*) as n_categories_90d,
        {{ entropy('n_events_28d') }} as category_entropy_28d,
        {{ entropy('n_events_90d') }} as category_entropy_90d,
        min(category) filter (where is_top_28d) as top_category_28d,
        max(category) filter (where category_rank = 1) as top_category_90d,
        max(share_90d) filter (where category_rank = 1) as top_category_share_90d,
        {{ days_between('max(last_event_date) filter (where category_rank = 1)', 'feature_date') }} as days_since_top_category,
        {{ divergence('share_7d', 'share_90d') }} as preference_shift_7d,
        {{ divergence('share_28d', 'share_90d') }} as preference_shift_28d
    from {{ ref('int_person_categories__windowed') }}
    group by person_key, feature_date
),

final as (
    select
        persons.person_id,
        tastes.feature_date,
        tastes.n_categories_28d,
        tastes.n_categories_90d,
        tastes.category_entropy_28d,
        tastes.category_entropy_90d,
        tastes.top_category_28d,
        tastes.top_category_90d,
        tastes.top_category_share_90d,
        tastes.days_since_top_category,
        tastes.preference_shift_7d,
        tastes.preference_shift_28d
    from tastes
    inner join {{ ref('int_persons__consented') }} as persons on tastes.person_key = persons.person_key
)

select * from final
