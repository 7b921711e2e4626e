{%- set dayparts = ['night', 'morning', 'afternoon', 'evening'] -%}
{%- set weekdays = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] -%}
{%- set places = {'device': 'devices', 'country': 'countries'} -%}
with contexts as (
    select * from {{ ref('int_person_contexts__windowed') }}
),

{% for place in places %}
    {{ place }}_counts as (
        select
            person_key,
            feature_date,
            {{ place }},
            sum(n_events) as n_events,
            row_number() over (partition by person_key, feature_date order by sum(n_events) desc, {{ place }} asc) as popularity
        from contexts
        where {{ place }} <> ''
        group by person_key, feature_date, {{ place }}
    ),

    {{ place }}_shares as (
        select
            person_key,
            feature_date,
            count(*) as n_{{ places[place] }}_90d,
            max({{ place }}) filter (where popularity = 1) as main_{{ place }},
            {{ share('max(n_events)', 'sum(n_events)') }} as main_{{ place }}_share_90d
        from {{ place }}_counts
        group by person_key, feature_date
    ),

{% endfor %}
times as (
    select
        person_key,
        feature_date,
        {% for name in dayparts + weekdays %}
            {%- set condition = "daypart = '" ~ name ~ "'" if name in dayparts else 'local_weekday = ' ~ (loop.index - dayparts | length) %}
            coalesce({{ share('sum(n_events) filter (where ' ~ condition ~ ')', 'sum(n_events)') }}, 0) as share_{{ name }}_90d,
        {% endfor %}
        cast(sum(n_events) as bigint) as n_events_90d
    from contexts
    group by person_key, feature_date
),

final as (
    select
        persons.person_id,
        times.feature_date,
        {% for name in dayparts + weekdays %}
            times.share_{{ name }}_90d,
        {% endfor %}
        times.n_events_90d,
        {{ rounded('times.share_saturday_90d + times.share_sunday_90d') }} as share_weekend_90d,
        {{ first_largest('share_', dayparts, '_90d') }} as usual_daypart,
        {{ first_largest('share_', weekdays, '_90d') }} as usual_weekday,
    {% for place, plural in places.items() %}
        {{ place }}_shares.main_{{ place }},
        {{ place }}_shares.main_{{ place }}_share_90d,
        coalesce({{ place }}_shares.n_{{ plural }}_90d, 0) as n_{{ plural }}_90d{{ ',' if not loop.last }}
    {% endfor %}
    from times
    inner join {{ ref('int_persons__consented') }} as persons on times.person_key = persons.person_key
    {% for place in places %}
        left join {{ place }}_shares
            on times.person_key = {{ place }}_shares.person_key and times.feature_date = {{ place }}_shares.feature_date
    {% endfor %}
)

select * from final
