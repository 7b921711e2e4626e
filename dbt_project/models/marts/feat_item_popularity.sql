{% set windows = {'1h': "'1' hour", '6h': "'6' hour", '1d': "'1' day", '7d': "'7' day", '28d': "'28' day"} %}
with known_items as (
    select
        observed.item_id,
        dates.feature_date
    from {{ ref('int_items__observed') }} as observed
    inner join {{ ref('int_dates__listed') }} as dates on observed.first_seen_at < dates.window_end
    union
    select
        item_id,
        feature_date
    from {{ ref('int_items__as_of') }}
),

windowed as (
    select
        interactions.item_id,
        dates.feature_date,
        {% for name, span in windows.items() %}
            count(*) filter (
                where interactions.occurred_at >= dates.window_end - interval {{ span }}
            ) as n_events_{{ name }},
        {% endfor %}
        count(distinct interactions.person_id) filter (
            where interactions.occurred_at >= dates.window_end - interval '7' day
        ) as n_users_7d,
        count(distinct interactions.person_id) as n_users_28d,
        count(*) filter (where interactions.event_type = 'purchase') as n_purchases_28d
    from {{ ref('fct_interactions') }} as interactions
    inner join {{ ref('int_dates__listed') }} as dates
        on
            interactions.occurred_at < dates.window_end
            and interactions.occurred_at >= dates.window_end - interval '28' day
    group by interactions.item_id, dates.feature_date
),

final as (
    select
        known_items.item_id,
        known_items.feature_date,
        {% for name in windows %}
            coalesce(windowed.n_events_{{ name }}, 0) as n_events_{{ name }},
        {% endfor %}
        coalesce(windowed.n_users_7d, 0) as n_users_7d,
        coalesce(windowed.n_users_28d, 0) as n_users_28d,
        coalesce(windowed.n_purchases_28d, 0) as n_purchases_28d,
        {{ trend('coalesce(windowed.n_events_1d, 0)', 'coalesce(windowed.n_events_7d, 0)') }} as trend_score,
        {{ days_between('catalogue.launched_at', 'known_items.feature_date') }} as days_since_launch,
        {{ days_between('observed.first_seen_at', 'known_items.feature_date') }} as days_since_first_event
    from known_items
    left join windowed
        on known_items.item_id = windowed.item_id and known_items.feature_date = windowed.feature_date
    left join {{ ref('int_items__as_of') }} as catalogue
        on known_items.item_id = catalogue.item_id and known_items.feature_date = catalogue.feature_date
    left join {{ ref('int_items__observed') }} as observed
        on
            known_items.item_id = observed.item_id
            and cast(observed.first_seen_at as date) <= known_items.feature_date
)

select * from final
