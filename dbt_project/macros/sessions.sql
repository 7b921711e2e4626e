{# The rules of [sessions] in the settings: where a session begins beside the idle time. #}

{# True where midnight lies between two moments and ends a session (session_midnight: none, utc, or local for the site's zone). #}
{% macro is_after_midnight(earlier, later) -%}
    {%- if var('session_midnight') == 'utc' -%}
        cast({{ later }} as date) > cast({{ earlier }} as date)
    {%- elif var('session_midnight') == 'local' -%}
        {%- set zone = "'" ~ var('site_timezone') ~ "'" -%}
        cast({{ local_time(later, zone) }} as date) > cast({{ local_time(earlier, zone) }} as date)
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}

{#
A select: the rows of `visits` with is_session_start. A visit begins after the idle time or at midnight. Within it a campaign or referrer
(session_campaign: none, referrer, or campaign) other than the last known one begins another session. An event that names none changes
nothing, nor does the first to name one: how the visit came about is not known before it. At the same moment there is no new session, because
person and start are a session's key.
#}
{% macro with_campaign_starts(visits) -%}
    {%- if var('session_campaign') == 'none' -%}
        select
            *,
            is_visit_start as is_session_start
        from {{ visits }}
    {%- else -%}
        {%- set known = "case when " ~ var('session_campaign') ~ " is not null then timeline_number end" -%}
        select
            *,
            is_visit_start or coalesce(
                occurred_at > previous_event_at
                and {{ var('session_campaign') }} <> {{ last_known(var('session_campaign')) }} over person_timeline
                and max({{ known }}) over person_timeline >= visit_first_number,
                false
            ) as is_session_start
        from (
            select
                *,
                max(case when is_visit_start then timeline_number end) over (
                    partition by person_id order by timeline_number rows unbounded preceding
                ) as visit_first_number
            from {{ visits }}
        ) as numbered_visits
        window
            person_timeline as (
                partition by person_id order by timeline_number rows between unbounded preceding and 1 preceding
            )
    {%- endif -%}
{%- endmacro %}

{# The window function whose value is the last of the frame that is not NULL. #}
{% macro last_known(column) -%}
    {{ adapter.dispatch('last_known')(column) }}
{%- endmacro %}

{% macro default__last_known(column) -%}
    last_value({{ column }} ignore nulls)
{%- endmacro %}

{% macro spark__last_known(column) -%}
    last_value({{ column }}, true)
{%- endmacro %}
