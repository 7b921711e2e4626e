-- At which hours of the week do people come?
-- One row per weekday and hour.
SELECT isodow(started_at) AS weekday, hour(started_at) AS hour, count(*) AS n_sessions, count(DISTINCT person_id) AS n_persons
FROM marts.fct_sessions
GROUP BY weekday, hour
ORDER BY weekday, hour
