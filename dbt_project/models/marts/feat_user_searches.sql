with terms as (
    select
        days.person_id,
        dates.feature_date,
        days.search_term,
        cast(coalesce(sum(days.n_searches) filter (where days.event_date > dates.feature_date - 28), 0) as bigint) as n_searches_28d,
        cast(sum(days.n_searches) as bigint) as n_searches_90d,
        max(days.last_searched_at) as last_searched_at
    from {{ ref('int_person_day_searches__counted') }} as days
    inner join {{ ref('int_persons__consented') }} as persons on days.person_id = persons.person_id
    inner join {{ ref('int_dates__listed') }} as dates
        on days.event_date <= dates.feature_date and days.event_date > dates.feature_date - 90
    where persons.has_personalisation_consent
    group by days.person_id, dates.feature_date, days.search_term
),

ranked as (
    select
        *,
        row_number() over (
            partition by person_id, feature_date order by n_searches_90d desc, last_searched_at desc, search_term asc
        ) as popularity,
        row_number() over (
            partition by person_id, feature_date order by last_searched_at desc, search_term asc
        ) as recency
    from terms
),

final as (
    select
        person_id,
        feature_date,
        cast(sum(n_searches_28d) as bigint) as n_searches_28d,
        cast(sum(n_searches_90d) as bigint) as n_searches_90d,
        count(*) as n_search_terms_90d,
        max(search_term) filter (where popularity = 1) as top_search_term_90d,
        max(search_term) filter (where recency = 1) as last_search_term,
        {{ days_between('max(last_searched_at)', 'feature_date') }} as days_since_last_search
    from ranked
    group by person_id, feature_date
)

select * from final
