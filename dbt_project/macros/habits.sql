{# What the site's clocks (variable site_timezone) show at the UTC moment. #}
{% macro site_time(moment) -%}
    {%- if var('site_timezone') in ('UTC', 'Etc/UTC') -%} {{ moment }}
    {%- else -%} {{ local_time(moment, "'" ~ var('site_timezone') ~ "'") }}
    {%- endif -%}
{%- endmacro %}

{# The part of the day, six hours each: night from 0, morning from 6, afternoon from 12, evening from 18. #}
{% macro daypart(moment) -%}
    case
        when hour({{ moment }}) < 6 then 'night'
        when hour({{ moment }}) < 12 then 'morning'
        when hour({{ moment }}) < 18 then 'afternoon'
        else 'evening'
    end
{%- endmacro %}
