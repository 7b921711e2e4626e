{{ config(materialized=kept(), pre_hook="{{ forget_stale('person_day') }}") }}

with searches as (
    select
        person_id,
        event_date,
        occurred_at,
        lower(trim(search_term)) as search_term
    from {{ fresh_events(ref('int_events__sessionised')) }}
    where search_term is not null
),

final as (
    select
        person_id,
        event_date,
        search_term,
        count(*) as n_searches,
        max(occurred_at) as last_searched_at
    from searches
    where search_term <> ''
    group by person_id, event_date, search_term
)

select * from final
