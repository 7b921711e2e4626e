-- How large are the RFM segments, and what are they worth?
-- One row per rfm_segment.
SELECT
    rfm_segment,
    count(*) AS n_persons,
    round(100.0 * count(*) / sum(count(*)) OVER (), 1) AS percent_of_persons,
    round(sum(monetary), 2) AS net_revenue,
    round(avg(recency_days), 1) AS avg_recency_days,
    round(avg(frequency), 2) AS avg_orders
FROM marts.feat_user_rfm
WHERE feature_date = (SELECT max(feature_date) FROM marts.feat_user_rfm)
GROUP BY rfm_segment
ORDER BY net_revenue DESC, rfm_segment
