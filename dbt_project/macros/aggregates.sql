{# Of the rows that have `value`, that of the first by `order`, which may be a tuple: `(occurred_at, event_id)`. NULL without such rows. #}
{% macro first_by(value, order) -%}
    min_by({{ value }}, {{ order }}) filter (where {{ value }} is not null)
{%- endmacro %}

{# Of the rows that have `value`, that of the last by `order`. NULL without such rows. #}
{% macro last_by(value, order) -%}
    max_by({{ value }}, {{ order }}) filter (where {{ value }} is not null)
{%- endmacro %}

{# The values of a group as one text, in the order of `order`. NULL values are left out. #}
{% macro joined_text(value, separator, order) -%}
    {{ adapter.dispatch('joined_text')(value, separator, order) }}
{%- endmacro %}

{% macro default__joined_text(value, separator, order) -%}
    string_agg({{ value }}, '{{ separator }}' order by {{ order }})
{%- endmacro %}

{% macro spark__joined_text(value, separator, order) -%}
    listagg({{ value }}, '{{ separator }}') within group (order by {{ order }})
{%- endmacro %}
