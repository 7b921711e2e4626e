-- Which items are put into carts and not bought within 28 days?
-- One row per item_id.
WITH pairs AS (
    SELECT person_id, item_id, bool_or(event_type = 'add_to_cart') AS is_carted, bool_or(event_type = 'purchase') AS is_bought
    FROM marts.fct_interactions
    WHERE person_id IS NOT NULL AND event_date > (SELECT max(event_date) FROM marts.fct_interactions) - 28
    GROUP BY person_id, item_id
)
SELECT
    item_id,
    any_value(title) AS title,
    count(*) AS n_persons_carted,
    count(*) FILTER (NOT is_bought) AS n_persons_abandoned,
    round(100.0 * n_persons_abandoned / n_persons_carted, 1) AS percent_abandoned
FROM pairs
JOIN marts.dim_items USING (item_id)
WHERE is_carted
GROUP BY item_id
ORDER BY n_persons_abandoned DESC, item_id
LIMIT 20
