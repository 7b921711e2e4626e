{# The text of a top-level key of `properties`, the JSON of what a source's mapping keeps beside the columns; NULL where it is not there. #}
{% macro property(name) -%}
    {{ adapter.dispatch('property')(name) }}
{%- endmacro %}

{% macro default__property(name) -%}
    json_extract_string(properties, '$.{{ name }}')
{%- endmacro %}

{% macro spark__property(name) -%}
    get_json_object(properties, '$.{{ name }}')
{%- endmacro %}

{#
How far down the page a visitor came, 0 to 100: the property scroll_percent, else 100 times scroll_depth (0 to 1). Anything else is NULL.
#}
{% macro scroll_percent() -%}
    case
        when coalesce(try_cast({{ property('scroll_percent') }} as double), 100 * try_cast({{ property('scroll_depth') }} as double)) between 0 and 100
            then {{ rounded('coalesce(try_cast(' ~ property('scroll_percent') ~ ' as double), 100 * try_cast(' ~ property('scroll_depth') ~ ' as double))') }}
    end
{%- endmacro %}
