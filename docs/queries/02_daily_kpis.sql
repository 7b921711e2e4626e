-- What were the key figures of the last 14 days?
-- One row per source and event_date.
SELECT *
FROM marts.fct_daily_kpis
WHERE event_date > (SELECT max(event_date) FROM marts.fct_daily_kpis) - 14
ORDER BY source, event_date
