{#
Sums over rows of int_item_day_places__counted of the 28 days before a date's end: the events of the last hours and days before it, as n_events_15m,
n_events_1h, n_events_6h, n_events_1d, n_events_7d and n_events_28d.
#}
{% macro popularity_counts(days, dates) -%}
    {%- set is_last_day = days ~ '.event_date = ' ~ dates ~ '.feature_date' -%}
    {%- set is_last_week = days ~ '.event_date > ' ~ dates ~ '.feature_date - 7' -%}
    cast(coalesce(sum({{ days }}.n_events_last_15m) filter (where {{ is_last_day }}), 0) as bigint) as n_events_15m,
        cast(coalesce(sum({{ days }}.n_events_last_1h) filter (where {{ is_last_day }}), 0) as bigint) as n_events_1h,
        cast(coalesce(sum({{ days }}.n_events_last_6h) filter (where {{ is_last_day }}), 0) as bigint) as n_events_6h,
        cast(coalesce(sum({{ days }}.n_events) filter (where {{ is_last_day }}), 0) as bigint) as n_events_1d,
        cast(coalesce(sum({{ days }}.n_events) filter (where {{ is_last_week }}), 0) as bigint) as n_events_7d,
        cast(sum({{ days }}.n_events) as bigint) as n_events_28d
{%- endmacro %}
