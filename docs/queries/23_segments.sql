-- Who are the clusters of the night?
-- One row per segment.
SELECT * FROM marts.segment_profiles ORDER BY segment
