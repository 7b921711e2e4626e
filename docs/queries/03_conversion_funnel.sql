-- How many people look, fill a cart and buy within 28 days, and where are they lost?
-- One row per step.
WITH people AS (
    SELECT
        person_id,
        bool_or(event_type IN ('view', 'click')) AS has_looked,
        bool_or(event_type = 'add_to_cart') AS has_filled,
        bool_or(event_type = 'purchase') AS has_bought
    FROM marts.fct_interactions
    WHERE person_id IS NOT NULL AND event_date > (SELECT max(event_date) FROM marts.fct_interactions) - 28
    GROUP BY person_id
),
steps AS (
    SELECT 1 AS step, 'looked at an item' AS what, count(*) FILTER (has_looked) AS n_persons FROM people
    UNION ALL
    SELECT 2, '… and put one into the cart', count(*) FILTER (has_looked AND has_filled) FROM people
    UNION ALL
    SELECT 3, '… and bought', count(*) FILTER (has_looked AND has_filled AND has_bought) FROM people
)
SELECT step, what, n_persons, round(100.0 * n_persons / nullif(first_value(n_persons) OVER (ORDER BY step), 0), 1) AS percent_of_first
FROM steps
ORDER BY step
