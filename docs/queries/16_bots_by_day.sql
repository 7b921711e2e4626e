-- How much of the traffic is machines, and which rule knew them?
-- One row per source, event_date and bot_rule. No row where there was nothing to tell.
SELECT source, event_date, bot_rule, n_visitors, n_events, round(100 * share_of_events, 2) AS percent_of_events
FROM marts.fct_bots
ORDER BY source, event_date, bot_rule
