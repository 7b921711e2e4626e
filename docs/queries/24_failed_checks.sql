-- Which quality checks did not hold, from the newest backwards?
-- One row per run_id, checked_for, suite, source, expectation and column_name. No row where there was nothing to tell.
SELECT run_id, checked_for, severity, suite, source, expectation, column_name, observed, n_unexpected, n_checked
FROM operations.gate_results
WHERE NOT is_success
ORDER BY checked_for DESC, run_id, severity, suite, source, expectation, column_name
LIMIT 50
