{# `a` by `b` without the rest, in integers; both are 0 or more. #}
{% macro int_division(a, b) -%}
    {{ adapter.dispatch('int_division')(a, b) }}
{%- endmacro %}

{% macro default__int_division(a, b) -%}
    ({{ a }}) // ({{ b }})
{%- endmacro %}

{% macro spark__int_division(a, b) -%}
    ({{ a }}) div ({{ b }})
{%- endmacro %}

{#
`value` as a double of `digits` digits after the point, halves up. Written out, because the engines' own round() differ in the last digit
kept where a value lies on the edge between two.
#}
{% macro rounded(value, digits=6) -%}
    (floor(cast({{ value }} as double) * 1e{{ digits }} + 5e-1) / 1e{{ digits }})
{%- endmacro %}

{# The whole number nearest to `value`, halves up: a bare cast rounds on one engine and cuts on another. #}
{% macro nearest_integer(value) -%}
    cast(floor(cast({{ value }} as double) + 5e-1) as bigint)
{%- endmacro %}

{# `part` by `whole` as a double, NULL where the whole is 0; decimals by themselves divide differently from engine to engine. #}
{% macro ratio(part, whole) -%}
    (cast({{ part }} as double) / nullif(cast({{ whole }} as double), 0e0))
{%- endmacro %}
