with windowed as (
    select
        days.person_id,
        dates.feature_date,
        days.category,
        {% for n in (7, 28, 90) %}
            cast(coalesce(sum(days.n_events) filter (
                where days.event_date > dates.feature_date - {{ n }}
            ), 0) as bigint) as n_events_{{ n }}d,
        {% endfor %}
        {{ days_between('max(days.event_date)', 'dates.feature_date') }} as days_since_last_event
    from {{ ref('int_person_day_categories__counted') }} as days
    inner join {{ ref('int_persons__consented') }} as persons on days.person_id = persons.person_id
    inner join {{ ref('int_dates__listed') }} as dates
        on days.event_date <= dates.feature_date and days.event_date > dates.feature_date - 90
    where persons.has_personalisation_consent
    group by days.person_id, dates.feature_date, days.category
),

totalled as (
    select
        *,
        {% for n in (7, 28, 90) %}
            sum(n_events_{{ n }}d) over (partition by person_id, feature_date) as n_all_{{ n }}d,
        {% endfor %}
        row_number() over (
            partition by person_id, feature_date order by n_events_90d desc, days_since_last_event asc, category asc
        ) as category_rank
    from windowed
),

final as (
    select
        person_id,
        feature_date,
        category,
        {% for n in (7, 28, 90) %}
            n_events_{{ n }}d,
        {% endfor %}
        {% for n in (7, 28, 90) %}
            {{ share('n_events_' ~ n ~ 'd', 'n_all_' ~ n ~ 'd') }} as share_{{ n }}d,
        {% endfor %}
        days_since_last_event,
        cast(category_rank as integer) as category_rank
    from totalled
)

select * from final
