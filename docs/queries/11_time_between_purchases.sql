-- How many days lie between a buyer's purchases?
-- One row per days_between.
SELECT
    CASE
        WHEN avg_days_between IS NULL THEN 'bought on one day only'
        WHEN avg_days_between <= 7 THEN 'up to 7'
        WHEN avg_days_between <= 28 THEN '8 to 28'
        WHEN avg_days_between <= 90 THEN '29 to 90'
        ELSE 'more than 90'
    END AS days_between,
    count(*) AS n_persons,
    round(avg(net_revenue), 2) AS avg_net_revenue
FROM marts.feat_user_purchases
WHERE feature_date = (SELECT max(feature_date) FROM marts.feat_user_purchases)
GROUP BY days_between
ORDER BY n_persons DESC, days_between
