{#
Features of several dates from one pass over a large table: a join with the dates would give rows to group once for each date. In `expression` and
`condition` {day} stands for the date and {n} for its number; without a date, as where nothing is run, they still make SQL.

An aggregate for each feature date as the columns `name`_1, `name`_2, …, each with a comma behind it.
#}
{% macro at_each_date(expression, name) -%}
    {%- for day in feature_dates() %}
        {{ for_date(expression, day, loop.index) }} as {{ name }}_{{ loop.index }},
    {%- endfor %}
{%- endmacro %}

{# Of these columns that of the row's `feature_date`. #}
{% macro at_its_date(name, feature_date) -%}
    {%- set columns = [] -%}
    {%- for day in feature_dates() -%}
        {%- do columns.append(for_date('case when ' ~ feature_date ~ ' = {day} then ' ~ name ~ '_{n} end', day, loop.index)) -%}
    {%- endfor -%}
    coalesce({{ (columns + ['null']) | join(', ') }})
{%- endmacro %}

{# Whether the condition holds for one of the dates. #}
{% macro at_any_date(condition) -%}
    {%- set conditions = [] -%}
    {%- for day in feature_dates() -%}
        {%- do conditions.append(for_date(condition, day, loop.index)) -%}
    {%- endfor -%}
    ({{ (conditions + ['false']) | join(' or ') }})
{%- endmacro %}

{% macro for_date(expression, day, number) -%}
    {{ expression.replace('{day}', "cast('" ~ day ~ "' as date)").replace('{n}', number | string) }}
{%- endmacro %}
