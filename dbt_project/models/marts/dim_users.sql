with persons as (
    select * from {{ ref('int_persons__consented') }}
),

histories as (
    select
        person_id,
        min(first_event_at) as first_seen_at,
        max(last_event_at) as last_seen_at,
        cast(sum(n_events) as bigint) as n_events,
        {{ last_by('country', 'event_date') }} as country,
        {{ last_by('device', 'event_date') }} as device
    from {{ ref('int_person_days__aggregated') }}
    group by person_id
),

registrations as (
    select
        aliases.person_id,
        customers.registered_at,
        customers.country
    from {{ ref('stg_lake__customers') }} as customers
    inner join {{ ref('stg_lake__persons') }} as aliases on customers.user_id = aliases.alias_id
    where customers.updated_at < {{ night_end() }}
    qualify row_number() over (
        partition by aliases.person_id order by customers.updated_at desc, customers.source asc, customers.user_id asc
    ) = 1
),

final as (
    select
        persons.person_id,
        persons.source,
        persons.is_anonymous,
        persons.has_personalisation_consent,
        persons.has_analytics_consent,
        persons.has_marketing_consent,
        {{ with_consent('histories.first_seen_at') }} as first_seen_at,
        {{ with_consent('histories.last_seen_at') }} as last_seen_at,
        {{ with_consent('registrations.registered_at') }} as registered_at,
        -- Where people were last seen is where their fallback list comes from.
        {{ with_consent('coalesce(histories.country, registrations.country)') }} as country,
        {{ with_consent('histories.device') }} as device,
        {{ with_consent('coalesce(histories.n_events, 0)') }} as n_events
    from persons
    left join histories on persons.person_id = histories.person_id
    left join registrations on persons.person_id = registrations.person_id
)

select * from final
