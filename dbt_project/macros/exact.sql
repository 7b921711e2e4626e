{# A float below a thousand million as a decimal of nine digits: its sums do not depend on the order of rows. #}
{% macro exact(value) -%}
    cast({{ rounded(value, 9) }} as decimal(18, 9))
{%- endmacro %}

{# `part` of `whole` between 0 and 1, rounded to 6 digits; NULL where the whole is nothing. #}
{% macro share(part, whole) -%}
    {{ rounded(ratio(part, whole)) }}
{%- endmacro %}
