-- noqa: disable=LT02
{#
What a generic test looks at. In a build on kept rows, of a kept table: the rows that were made again, because their day changed, or their pair of person
and day, or their order. Of the views over all events: the days whose events changed. The other rows are those that the same tests have passed before. Keys hold
their day, or the start of a session on it; that an event is there once over all days is a test of stg_lake__events, which looks for the keys of
changed days on all days.
#}
{% macro get_where_subquery(relation) -%}
    {%- set tested = graph.nodes.get(model.attached_node) if execute and model.attached_node is defined else none -%}
    {%- set views = ('stg_lake__events', 'int_events__weighted', 'int_events__identified', 'fct_interactions') -%}
    {%- if keeps_rows() and tested and tested.name in views -%}
        {%- if tested.name == 'stg_lake__events' and model.test_metadata.name == 'unique' -%}
            {%- set rows = 'event_id in (select event_id from ' ~ relation ~ ' where ' ~ is_changed_day() ~ ')' -%}
        {%- endif -%}
        {%- do return('(select * from ' ~ relation ~ ' where ' ~ (rows or is_changed_day()) ~ ') as tested') -%}
    {%- elif keeps_rows() and tested and tested.config.materialized == 'incremental' -%}
        {%- set kept_by = tested.config.meta.get('kept_by', 'person_day' if 'person_id' in tested.columns else 'day') -%}
        {%- do return('(select * from ' ~ relation ~ ' where ' ~ is_made_again(kept_by) ~ ') as tested') -%}
    {%- endif -%}
    {%- do return(adapter.dispatch('get_where_subquery', 'dbt')(relation)) -%}
{%- endmacro %}

{# A condition on event_date: of a build on kept rows the days whose events changed, else true. #}
{% macro is_changed_day() -%}
    {{ is_made_again('day') if keeps_rows() else 'true' }}
{%- endmacro %}
