{#
How much more than its weekly mean an item was seen on the last day: (n_1d + k) / (n_7d / 7 + k), from near 0 to below 7; 1 = as ever.
k (variable trend_smoothing) pulls items with few events towards 1, as additive smoothing does.
#}
{% macro trend(n_events_1d, n_events_7d) -%}
    {{ rounded('(' ~ n_events_1d ~ ' + ' ~ var('trend_smoothing') ~ ') / (' ~ n_events_7d ~ ' / 7e0 + ' ~ var('trend_smoothing') ~ ')') }}
{%- endmacro %}
