-- Who moved from one RFM segment to another since the last feature date before the run date?
-- One row per segment_before and segment_now.
WITH dates AS (
    SELECT max(feature_date) AS now, max(feature_date) FILTER (feature_date < last) AS before
    FROM (SELECT feature_date, max(feature_date) OVER () AS last FROM marts.feat_user_rfm)
),
earlier AS (SELECT person_id, rfm_segment FROM marts.feat_user_rfm WHERE feature_date = (SELECT before FROM dates)),
latest AS (SELECT person_id, rfm_segment FROM marts.feat_user_rfm WHERE feature_date = (SELECT now FROM dates))
SELECT coalesce(earlier.rfm_segment, 'no order yet') AS segment_before, latest.rfm_segment AS segment_now, count(*) AS n_persons
FROM latest
LEFT JOIN earlier USING (person_id)
GROUP BY segment_before, segment_now
ORDER BY n_persons DESC, segment_before, segment_now
