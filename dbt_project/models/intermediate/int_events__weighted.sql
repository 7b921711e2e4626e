{{ config(materialized=not_kept()) }}

with human_events as (
    select events.*
    from {{ ref('stg_lake__events') }} as events
    left join {{ ref('int_visitors__bots') }} as bots
        on
            events.source = bots.source
            and coalesce(events.user_id, events.anonymous_id) = bots.visitor_id
            and events.event_date = bots.event_date
    where not events.is_bot and bots.visitor_id is null and events.occurred_at < {{ night_end() }}
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
        coalesce(human_events.user_id, human_events.anonymous_id) as visitor_id,
        human_events.item_id,
        human_events.order_id,
        human_events.quantity,
        human_events.unit_price,
        human_events.currency,
        human_events.search_term,
        human_events.dwell_seconds,
        human_events.device,
        human_events.country,
        human_events.referrer,
        {% if var('session_campaign') == 'campaign' %}
            coalesce({{ property('utm_campaign') }}, {{ property('campaign') }}) as campaign,
        {% endif %}
        {{ scroll_percent() }} as scroll_percent,
        -- A purchase of less than one is a correction of the stock, and says nothing about taste.
        case
            when human_events.event_type = 'purchase' and human_events.quantity <= 0 then 0
            else coalesce(weights.weight, 0)
        end as weight
    from human_events
    left join weights on human_events.event_type = weights.event_type
)

select * from final
