-- How late do events arrive: which days did files of a later day still change?
-- One row per source and days_late.
WITH changes AS (
    SELECT source, file_name, file_time::DATE AS file_day, unnest(changed_days) AS event_date
    FROM operations.ledger
    WHERE input = 'events' AND file_time IS NOT NULL
)
SELECT source, greatest(file_day - event_date, 0) AS days_late, count(*) AS n_files_and_days, min(event_date) AS first_day, max(event_date) AS last_day
FROM changes
GROUP BY source, days_late
ORDER BY source, days_late
