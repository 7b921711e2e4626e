-- How does revenue develop from week to week?
-- One row per week.
SELECT
    date_trunc('week', ordered_at)::DATE AS week,
    count(*) FILTER (n_lines > 0) AS n_orders,
    sum(gross_revenue) AS gross_revenue,
    sum(refunds) AS refunds,
    sum(net_revenue) AS net_revenue,
    round(100 * sum(net_revenue)::DOUBLE / nullif(lag(sum(net_revenue)) OVER (ORDER BY week), 0)::DOUBLE - 100, 1) AS change_percent
FROM marts.fct_orders
GROUP BY week
ORDER BY week
