{#
What differs from night to night comes from the environment, not from variables, and is asked for only when SQL is run: when what dbt parsed with
is another, it parses everything anew.
#}

{# The last day whose events count, an ISO date. #}
{% macro run_date() -%}
    {{ env_var('NIGHT_RUN_DATE') if execute }}
{%- endmacro %}

{# The days that feature tables are made for, the run date among them: ISO dates. #}
{% macro feature_dates() -%}
    {%- do return(env_var('NIGHT_FEATURE_DATES').split(',') if execute else []) -%}
{%- endmacro %}

{# Whether the build keeps rows of the one before: tests then look at what was made again. #}
{% macro keeps_rows() -%}
    {%- do return(execute and env_var('NIGHT_KEEPS_ROWS', 'no') == 'yes') -%}
{%- endmacro %}
