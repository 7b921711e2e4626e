-- What is seen more than usual on the last day?
-- One row per item_id.
SELECT popularity.item_id, items.title, items.category, popularity.n_events_1d, popularity.n_events_7d, popularity.trend_score
FROM marts.feat_item_popularity AS popularity
JOIN marts.dim_items AS items USING (item_id)
WHERE popularity.feature_date = (SELECT max(feature_date) FROM marts.feat_item_popularity) AND popularity.n_events_1d > 0
ORDER BY popularity.trend_score DESC, popularity.item_id
LIMIT 20
