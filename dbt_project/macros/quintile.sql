{#
Quintile 1 to 5 of `value` within a feature date, 5 the largest: 1 + floor(5 * (rank - 1) / n), in integers. Without ties this is ntile(5);
equal values share the quintile of the lowest rank among them, so that a score never depends on the order of rows.
#}
{% macro quintile(value, direction='asc') -%}
    1 + {{ int_division(
        '5 * (rank() over (partition by feature_date order by ' ~ value ~ ' ' ~ direction ~ ') - 1)',
        'count(*) over (partition by feature_date)'
    ) }}
{%- endmacro %}
