-- Which items lead each category over 28 days?
-- One row per category and rank.
SELECT
    coalesce(items.category, 'none') AS category,
    row_number() OVER (PARTITION BY items.category ORDER BY popularity.n_events_28d DESC, popularity.item_id) AS rank,
    popularity.item_id,
    items.title,
    popularity.n_events_28d,
    popularity.n_users_28d,
    popularity.n_purchases_28d
FROM marts.feat_item_popularity AS popularity
JOIN marts.dim_items AS items USING (item_id)
WHERE popularity.feature_date = (SELECT max(feature_date) FROM marts.feat_item_popularity) AND popularity.n_events_28d > 0
QUALIFY rank <= 3
ORDER BY category, rank
