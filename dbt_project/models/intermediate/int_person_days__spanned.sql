{{ config(
    materialized=kept(),
    pre_hook=["{{ put_stale_spans_aside() }}", "{{ forget_stale_spans() }}"],
    post_hook="{{ find_stale_person_days() }}"
) }}

with person_events as (
    select * from {{ ref('int_events__identified') }}
    where person_id is not null and {{ is_day_of_stale_spans() }} and {{ is_stale_span() }}
),

final as (
    select
        person_id,
        event_date,
        min(occurred_at) as first_event_at,
        max(occurred_at) as last_event_at
    from person_events
    group by person_id, event_date
)

select * from final
