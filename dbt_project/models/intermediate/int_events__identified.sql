{{ config(materialized=not_kept()) }}

with final as (
    select
        events.*,
        persons.person_id
    from {{ ref('int_events__weighted') }} as events
    left join {{ ref('stg_lake__persons') }} as persons on events.visitor_id = persons.alias_id
)

select * from final
