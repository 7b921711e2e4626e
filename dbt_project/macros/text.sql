{# 32 hex digits that stand for `parts`, none of which is NULL. #}
{% macro key_of(parts) -%}
    md5({% for part in parts %}cast({{ part }} as string){{ " || ' ' || " if not loop.last }}{% endfor %})
{%- endmacro %}

{# True where `text` holds a match of the regular expression `pattern` (a quoted literal). Keep to what RE2 and Java share. #}
{% macro matches(text, pattern) -%}
    {{ adapter.dispatch('matches')(text, pattern) }}
{%- endmacro %}

{% macro default__matches(text, pattern) -%}
    regexp_matches({{ text }}, {{ pattern }})
{%- endmacro %}

{% macro spark__matches(text, pattern) -%}
    ({{ text }} rlike r{{ pattern }})
{%- endmacro %}

{# In a select list: one row for each piece of `text` between the separators, a character that means nothing in regular expressions. #}
{% macro each_part(text, separator) -%}
    {{ adapter.dispatch('each_part')(text, separator) }}
{%- endmacro %}

{% macro default__each_part(text, separator) -%}
    unnest(string_split({{ text }}, '{{ separator }}'))
{%- endmacro %}

{% macro spark__each_part(text, separator) -%}
    explode(split({{ text }}, '{{ separator }}'))
{%- endmacro %}
