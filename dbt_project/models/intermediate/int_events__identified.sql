with human_events as (
    select *
    from {{ ref('stg_lake__events') }}
    where not is_bot and occurred_at < {{ night_end() }}
),

persons as (
    select * from {{ ref('stg_lake__persons') }}
),

weights as (
    select * from {{ ref('event_weights') }}
),

final as (
    select
        human_events.event_id,
        human_events.source,
        human_events.event_type,
        human_events.occurred_at,
        human_events.event_date,
        persons.person_id,
        human_events.item_id,
        human_events.order_id,
        human_events.quantity,
        human_events.unit_price,
        human_events.currency,
        human_events.dwell_seconds,
        human_events.device,
        human_events.country,
        human_events.referrer,
        -- A purchase of less than one is a correction of the stock, and says nothing about taste.
        case
            when human_events.event_type = 'purchase' and human_events.quantity <= 0 then 0
            else coalesce(weights.weight, 0)
        end as weight
    from human_events
    left join persons on coalesce(human_events.user_id, human_events.anonymous_id) = persons.alias_id
    left join weights on human_events.event_type = weights.event_type
)

select * from final
