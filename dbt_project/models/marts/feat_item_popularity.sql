{% set windows = ['15m', '1h', '6h', '1d', '7d', '28d'] %}
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
        days.item_id,
        dates.feature_date,
        {{ popularity_counts('days', 'dates') }},
        cast(sum(days.n_purchases) as bigint) as n_purchases_28d
    from {{ ref('int_item_day_places__counted') }} as days
    inner join {{ ref('int_dates__listed') }} as dates
        on days.event_date <= dates.feature_date and days.event_date > dates.feature_date - 28
    group by days.item_id, dates.feature_date
),

users as (
    select
        item_id,
        feature_date,
        count(*) filter (where last_event_date > feature_date - 7) as n_users_7d,
        count(*) as n_users_28d
    from {{ ref('int_person_items__windowed') }}
    group by item_id, feature_date
),

final as (
    select
        known_items.item_id,
        known_items.feature_date,
        {% for name in windows %}
            coalesce(windowed.n_events_{{ name }}, 0) as n_events_{{ name }},
        {% endfor %}
        coalesce(users.n_users_7d, 0) as n_users_7d,
        coalesce(users.n_users_28d, 0) as n_users_28d,
        coalesce(windowed.n_purchases_28d, 0) as n_purchases_28d,
        {{ trend('coalesce(windowed.n_events_1d, 0)', 'coalesce(windowed.n_events_7d, 0)') }} as trend_score,
        {{ days_between('catalogue.launched_at', 'known_items.feature_date') }} as days_since_launch,
        {{ days_between('observed.first_seen_at', 'known_items.feature_date') }} as days_since_first_event
    from known_items
    left join windowed
        on known_items.item_id = windowed.item_id and known_items.feature_date = windowed.feature_date
    left join users
        on known_items.item_id = users.item_id and known_items.feature_date = users.feature_date
    left join {{ ref('int_items__as_of') }} as catalogue
        on known_items.item_id = catalogue.item_id and known_items.feature_date = catalogue.feature_date
    left join {{ ref('int_items__observed') }} as observed
        on
            known_items.item_id = observed.item_id
            and cast(observed.first_seen_at as date) <= known_items.feature_date
)

select * from final
