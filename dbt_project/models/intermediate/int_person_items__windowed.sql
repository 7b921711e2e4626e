{% set is_in_window = 'event_date <= {day} and event_date > {day} - 28' %}
with met as (
    select
        {{ person_key('person_id') }} as person_key,
        {{ at_each_date('max(event_date) filter (where ' ~ is_in_window ~ ')', 'last_event_date') }}
        item_id
    from {{ ref('int_events__sessionised') }}
    where
        item_id is not null
        and weight > 0
        and {{ at_any_date(is_in_window) }}
    group by {{ person_key('person_id') }}, item_id
),

dated as (
    select
        met.person_key,
        met.item_id,
        dates.feature_date,
        {{ at_its_date('met.last_event_date', 'dates.feature_date') }} as last_event_date
    from met
    cross join {{ ref('int_dates__listed') }} as dates
),

final as (
    select * from dated
    where last_event_date is not null
)

select * from final
