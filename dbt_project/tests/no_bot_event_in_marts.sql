select interactions.event_id
from {{ ref('fct_interactions') }} as interactions
inner join {{ ref('stg_lake__events') }} as events on interactions.event_id = events.event_id
where events.is_bot
