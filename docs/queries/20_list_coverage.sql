-- Do the lists reach everybody, and how much of the catalogue do they show?
-- One row per audience.
WITH offered AS (SELECT count(*) AS n_items FROM marts.dim_items WHERE is_available AND NOT is_blocked)
SELECT
    CASE WHEN users.has_personalisation_consent THEN 'with consent' ELSE 'without consent' END AS audience,
    count(DISTINCT users.person_id) AS n_persons,
    count(DISTINCT lists.user_id) AS n_persons_with_a_list,
    count(DISTINCT lists.item_id) AS n_items_shown,
    any_value(offered.n_items) AS n_items_offered,
    round(100.0 * count(DISTINCT lists.item_id) / any_value(offered.n_items), 1) AS percent_of_catalogue
FROM marts.dim_users AS users
LEFT JOIN serving.recommendations AS lists ON lists.user_id = users.person_id
CROSS JOIN offered
GROUP BY audience
ORDER BY audience
