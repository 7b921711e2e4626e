{# True where the people of `source` have consented unless they say no; sources that the site does not name are denied. #}
{% macro granted_by_default(source) -%}
    {{ source }} in ('' {%- for name in var('granted_by_default') %}, '{{ name }}'{% endfor %})
{%- endmacro %}

{# A value that may only be kept of people with personalisation consent. #}
{% macro with_consent(value) -%}
    case when has_personalisation_consent then {{ value }} end
{%- endmacro %}
