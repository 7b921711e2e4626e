-- Nobody is known by a machine's events alone.
with machines as (
    select aliases.person_id
    from {{ ref('int_visitors__bots') }} as bots
    inner join {{ ref('stg_lake__persons') }} as aliases on bots.visitor_id = aliases.alias_id
    where
        aliases.is_anonymous
        and not exists (
            select 1 from {{ ref('int_person_days__spanned') }} as days
            where days.person_id = aliases.person_id
        )
),

persons as (
    select
        person_id,
        source,
        is_anonymous,
        {{ granted_by_default('source') }} as is_granted_by_default
    from {{ ref('stg_lake__persons') }}
    where alias_id = person_id and person_id not in (select machines.person_id from machines)
),

answers as (
    select
        aliases.person_id,
        consents.purpose,
        consents.is_granted,
        -- Of two answers at the same moment the refusal counts.
        row_number() over (
            partition by aliases.person_id, consents.purpose
            order by consents.changed_at desc, consents.is_granted asc
        ) as recency
    from {{ ref('stg_lake__consents') }} as consents
    inner join {{ ref('stg_lake__persons') }} as aliases on consents.user_id = aliases.alias_id
    where consents.changed_at < {{ night_end() }} and consents.is_granted is not null
),

latest_answers as (
    select
        person_id,
        bool_and(is_granted) filter (where purpose = 'personalisation') as personalisation,
        bool_and(is_granted) filter (where purpose = 'analytics') as analytics,
        bool_and(is_granted) filter (where purpose = 'marketing') as marketing
    from answers
    where recency = 1
    group by person_id
),

final as (
    select
        persons.person_id,
        {{ person_key('persons.person_id') }} as person_key,
        persons.source,
        persons.is_anonymous,
        coalesce(latest_answers.personalisation, persons.is_granted_by_default) as has_personalisation_consent,
        coalesce(latest_answers.analytics, persons.is_granted_by_default) as has_analytics_consent,
        coalesce(latest_answers.marketing, persons.is_granted_by_default) as has_marketing_consent
    from persons
    left join latest_answers on persons.person_id = latest_answers.person_id
)

select * from final
