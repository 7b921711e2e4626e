-- How do sessions differ from device to device?
-- One row per device.
SELECT
    coalesce(device, 'unknown') AS device,
    count(*) AS n_sessions,
    count(DISTINCT person_id) AS n_persons,
    round(avg(duration_seconds), 1) AS avg_seconds,
    round(avg(n_events), 2) AS avg_events,
    round(100.0 * count(*) FILTER (is_bounce) / count(*), 1) AS bounce_percent
FROM marts.fct_sessions
GROUP BY ALL
ORDER BY n_sessions DESC, device
