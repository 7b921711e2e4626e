{{ config(materialized=kept(), pre_hook="{{ forget_stale('day') }}") }}

with events as (
    select
        source,
        event_date,
        is_bot,
        coalesce(user_id, anonymous_id) as visitor_id
    from {{ ref('stg_lake__events') }}
    where occurred_at < {{ night_end() }} and {{ is_stale('day') }}
),

judged_events as (
    select
        events.source,
        events.event_date,
        events.visitor_id,
        case when events.is_bot then 'user_agent' else bots.bot_rule end as bot_rule
    from events
    left join {{ ref('int_visitors__bots') }} as bots
        on events.source = bots.source and events.visitor_id = bots.visitor_id and events.event_date = bots.event_date
),

days as (
    select
        source,
        event_date,
        count(*) as n_events
    from events
    group by source, event_date
),

final as (
    select
        judged_events.source,
        judged_events.event_date,
        judged_events.bot_rule,
        count(distinct judged_events.visitor_id) as n_visitors,
        count(*) as n_events,
        {{ rounded('count(*) / any_value(days.n_events)') }} as share_of_events
    from judged_events
    inner join days on judged_events.source = days.source and judged_events.event_date = days.event_date
    where judged_events.bot_rule is not null
    group by judged_events.source, judged_events.event_date, judged_events.bot_rule
)

select * from final
