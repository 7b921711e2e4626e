-- Which list did a person get, and why is each item on it? (Here: the busiest person; put any id of the person in the place of the first line.)
-- One row per rank.
WITH asked AS (SELECT person_id AS alias_id FROM marts.dim_users ORDER BY n_events DESC NULLS LAST, person_id LIMIT 1)
SELECT lists.rank, lists.item_id, items.title, round(lists.score, 4) AS score, lists.source, lists.reason, lists.published_at
FROM asked
JOIN serving.user_aliases AS aliases USING (alias_id)
JOIN serving.recommendations AS lists USING (user_id)
LEFT JOIN marts.dim_items AS items USING (item_id)
ORDER BY lists.rank
