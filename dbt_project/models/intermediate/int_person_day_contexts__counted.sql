{{ config(materialized=kept(), pre_hook="{{ forget_stale('person_day') }}") }}

with person_events as (
    select
        person_id,
        event_date,
        {{ site_time('occurred_at') }} as seen_at,
        device,
        country
    from {{ fresh_events(ref('int_events__sessionised')) }}
),

placed as (
    select
        person_id,
        event_date,
        {{ day_of_week('seen_at') }} as local_weekday,
        {{ daypart('seen_at') }} as daypart,
        coalesce(device, '') as device,
        coalesce(country, '') as country
    from person_events
),

final as (
    select
        person_id,
        event_date,
        local_weekday,
        daypart,
        device,
        country,
        count(*) as n_events
    from placed
    group by person_id, event_date, local_weekday, daypart, device, country
)

select * from final
