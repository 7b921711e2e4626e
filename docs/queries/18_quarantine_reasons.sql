-- Why could records not be used?
-- One row per source, input, field and reason.
SELECT source, input, field, reason, count(*) AS n_records, count(DISTINCT file_id) AS n_files
FROM operations.quarantine
GROUP BY ALL
ORDER BY n_records DESC, source, input, field, reason
