-- Counted again from the days of events: a feature of all time up to a date has no event after it.
with person_events as (
    select
        person_id,
        min(event_date) as first_date
    from {{ ref('int_person_days__spanned') }}
    group by person_id
)

select
    features.person_id,
    features.feature_date
from {{ ref('feat_user_activity') }} as features
left join person_events on features.person_id = person_events.person_id
where
    person_events.first_date is null
    or person_events.first_date > features.feature_date
    or features.tenure_days <> {{ days_between('person_events.first_date', 'features.feature_date') }}
