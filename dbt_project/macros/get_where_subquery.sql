{#
What a generic test looks at. In a build on kept rows, of a kept table: the days of which something was made again. Of the views over all events: the
days whose events changed, and for person_id those whose persons changed, too. The other rows are those that the same tests have passed before. Keys
hold their day, or the start of a session on it; that an event is there once over all days is a test of stg_lake__events, which always looks at all.
#}
{% macro get_where_subquery(relation) -%}
    {%- set tested = graph.nodes.get(model.attached_node) if execute and model.attached_node is defined else none -%}
    {%- set is_view = tested and tested.name in ('int_events__weighted', 'int_events__identified', 'fct_interactions') -%}
    {%- if keeps_rows() and tested and (is_view or tested.config.materialized == 'incremental') -%}
        {%- set days = 'lake.stale_days' if is_view and model.column_name != 'person_id' else 'lake.tested_days' -%}
        {%- do return('(select * from ' ~ relation ~ ' where event_date in (' ~ dates_in(days) ~ ')) as tested') -%}
    {%- endif -%}
    {%- do return(adapter.dispatch('get_where_subquery', 'dbt')(relation)) -%}
{%- endmacro %}

{# A condition on event_date: of a build on kept rows the days of which something was made again, else true. #}
{% macro is_tested() -%}
    {%- if keeps_rows() -%}
        event_date in ({{ dates_in('lake.tested_days') }})
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
