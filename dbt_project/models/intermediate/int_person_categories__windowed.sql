{% set windows = (7, 28, 90) %}
with persons as (
    select person_key from {{ ref('int_persons__consented') }}
    where has_personalisation_consent
),

counted as (
    select
        {{ person_key('person_id') }} as person_key,
        {% for n in windows %}
            {{ at_each_date('sum(n_events) filter (where event_date <= {day} and event_date > {day} - ' ~ n ~ ')', 'n_events_' ~ n ~ 'd') }}
        {% endfor %}
        {{ at_each_date('max(event_date) filter (where event_date <= {day})', 'last_event_date') }}
        category
    from {{ ref('int_person_day_categories__counted') }}
    where {{ at_any_date('event_date <= {day} and event_date > {day} - 90') }}
    group by {{ person_key('person_id') }}, category
),

dated as (
    select
        counted.person_key,
        dates.feature_date,
        counted.category,
        {% for n in windows %}
            {{ at_its_date('counted.n_events_' ~ n ~ 'd', 'dates.feature_date') }} as n_events_{{ n }}d,
        {% endfor %}
        {{ at_its_date('counted.last_event_date', 'dates.feature_date') }} as last_event_date
    from counted
    inner join persons on counted.person_key = persons.person_key
    cross join {{ ref('int_dates__listed') }} as dates
),

counts as (
    select
        person_key,
        feature_date,
        category,
        {% for n in windows %}
            cast(coalesce(n_events_{{ n }}d, 0) as bigint) as n_events_{{ n }}d,
        {% endfor %}
        last_event_date
    from dated
    where n_events_90d > 0
),

final as (
    select
        *,
        {% for n in windows %}
            {{ share('n_events_' ~ n ~ 'd', 'sum(n_events_' ~ n ~ 'd) over all_categories') }} as share_{{ n }}d,
        {% endfor %}
        n_events_28d > 0 and n_events_28d = max(n_events_28d) over all_categories as is_top_28d,
        row_number() over (
            partition by person_key, feature_date order by n_events_90d desc, last_event_date desc, category asc
        ) as category_rank
    from counts
    window all_categories as (partition by person_key, feature_date)
)

select * from final
