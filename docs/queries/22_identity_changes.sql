-- Which persons were merged, split or renamed, and by what?
-- One row per run_date, change and reasons. No row where there was nothing to tell.
SELECT run_date, change, array_to_string(reasons, ', ') AS reasons, count(*) AS n_changes, sum(n_ids)::BIGINT AS n_ids
FROM operations.identity_history
GROUP BY ALL
ORDER BY run_date DESC, change, reasons
