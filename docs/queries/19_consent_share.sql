-- Which share of the people has consented, to what?
-- One row per source and purpose.
WITH answers AS (
    UNPIVOT (SELECT source, is_anonymous, has_personalisation_consent, has_analytics_consent, has_marketing_consent FROM marts.dim_users)
    ON has_personalisation_consent, has_analytics_consent, has_marketing_consent
    INTO NAME purpose VALUE is_granted
)
SELECT
    source,
    regexp_extract(purpose, 'has_(.*)_consent', 1) AS purpose,
    count(*) AS n_persons,
    count(*) FILTER (is_granted) AS n_granted,
    round(100.0 * count(*) FILTER (is_granted) / count(*), 1) AS percent_granted
FROM answers
GROUP BY source, purpose
ORDER BY source, purpose
