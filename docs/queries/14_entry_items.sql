-- On which items do visits begin, and how many end there?
-- One row per entry_item_id.
SELECT
    entry_item_id,
    any_value(items.title) AS title,
    count(*) AS n_sessions,
    round(100.0 * count(*) FILTER (is_bounce) / count(*), 1) AS bounce_percent
FROM marts.fct_sessions AS sessions
JOIN marts.dim_items AS items ON sessions.entry_item_id = items.item_id
GROUP BY entry_item_id
ORDER BY n_sessions DESC, entry_item_id
LIMIT 20
