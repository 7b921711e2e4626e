-- Which part of the revenue comes from which tenth of the buyers?
-- One row per tenth.
WITH buyers AS (
    SELECT person_id, sum(net_revenue) AS net_revenue
    FROM marts.fct_orders
    WHERE person_id IS NOT NULL
    GROUP BY person_id
),
ranked AS (SELECT *, ntile(10) OVER (ORDER BY net_revenue DESC, person_id) AS tenth FROM buyers)
SELECT
    tenth,
    count(*) AS n_buyers,
    sum(net_revenue) AS net_revenue,
    round(100 * sum(net_revenue)::DOUBLE / sum(sum(net_revenue)) OVER ()::DOUBLE, 1) AS percent_of_revenue
FROM ranked
GROUP BY tenth
ORDER BY tenth
