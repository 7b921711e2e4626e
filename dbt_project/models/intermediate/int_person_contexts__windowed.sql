{% set is_in_window = 'event_date <= {day} and event_date > {day} - 90' %}
with counted as (
    select
        {{ person_key('person_id') }} as person_key,
        daypart,
        local_weekday,
        device,
        {{ at_each_date('sum(n_events) filter (where ' ~ is_in_window ~ ')', 'n_events') }}
        country
    from {{ ref('int_person_day_contexts__counted') }}
    where {{ at_any_date(is_in_window) }}
    group by {{ person_key('person_id') }}, daypart, local_weekday, device, country
),

dated as (
    select
        persons.person_key,
        dates.feature_date,
        counted.daypart,
        counted.local_weekday,
        counted.device,
        counted.country,
        {{ at_its_date('counted.n_events', 'dates.feature_date') }} as n_events
    from counted
    inner join {{ ref('int_persons__consented') }} as persons on counted.person_key = persons.person_key
    cross join {{ ref('int_dates__listed') }} as dates
    where persons.has_personalisation_consent
),

final as (
    select * from dated
    where n_events > 0
)

select * from final
