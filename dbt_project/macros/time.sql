{# The first moment after the day `day`: windows are half-open and end here. #}
{% macro end_of(day) -%}
    (cast({{ day }} as timestamp) + interval '1' day)
{%- endmacro %}

{# The first moment after the run date. #}
{% macro night_end() -%}
    {{ end_of("'" ~ var('run_date') ~ "'") }}
{%- endmacro %}

{# Whole UTC days from `earlier` to `later`; NULL where one is. #}
{% macro days_between(earlier, later) -%}
    (cast({{ later }} as date) - cast({{ earlier }} as date))
{%- endmacro %}
