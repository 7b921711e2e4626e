-- What do people pay for an item, and what do they only look at?
-- One row per price_band.
WITH priced AS (
    SELECT interactions.event_type, ntile(4) OVER (ORDER BY items.price, interactions.event_id) AS price_band, items.price
    FROM marts.fct_interactions AS interactions
    JOIN marts.dim_items AS items USING (item_id)
    WHERE items.price IS NOT NULL
)
SELECT
    price_band,
    min(price) AS lowest_price,
    max(price) AS highest_price,
    count(*) FILTER (event_type IN ('view', 'click')) AS n_looks,
    count(*) FILTER (event_type = 'purchase') AS n_purchases
FROM priced
GROUP BY price_band
ORDER BY price_band
