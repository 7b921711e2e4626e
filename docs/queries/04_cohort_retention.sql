-- Of those who came first in a week, how many came again in the weeks after it?
-- One row per cohort_week and week_number.
WITH visits AS (
    SELECT DISTINCT person_id, date_trunc('week', started_at)::DATE AS week
    FROM marts.fct_sessions
),
cohorts AS (
    SELECT person_id, min(week) AS cohort_week
    FROM visits
    GROUP BY person_id
),
sizes AS (
    SELECT cohort_week, count(*) AS n_persons
    FROM cohorts
    GROUP BY cohort_week
)
SELECT
    cohort_week,
    (week - cohort_week) // 7 AS week_number,
    any_value(sizes.n_persons) AS n_persons,
    count(*) AS n_returned,
    round(100.0 * count(*) / any_value(sizes.n_persons), 1) AS percent_returned
FROM visits
JOIN cohorts USING (person_id)
JOIN sizes USING (cohort_week)
GROUP BY cohort_week, week_number
ORDER BY cohort_week, week_number
