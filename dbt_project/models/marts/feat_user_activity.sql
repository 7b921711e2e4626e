{%- set windows = (1, 7, 28, 90) -%}
{%- set kinds = ('events', 'views', 'clicks', 'add_to_carts', 'purchases', 'sessions') -%}
with consenting_days as (
    select
        days.*,
        persons.person_key
    from {{ ref('int_person_days__aggregated') }} as days
    inner join {{ ref('int_persons__consented') }} as persons on {{ person_key('days.person_id') }} = persons.person_key
    where persons.has_personalisation_consent
),

windowed as (
    select
        days.person_key,
        dates.feature_date,
        {% for kind in kinds %}
            {% for n in windows %}
                cast(coalesce(sum(days.n_{{ kind }}) filter (
                    where days.event_date > dates.feature_date - {{ n }}
                ), 0) as bigint) as n_{{ kind }}_{{ n }}d,
            {% endfor %}
        {% endfor %}
        {% for n in windows %}
            coalesce(sum(days.dwell_milliseconds) filter (
                where days.event_date > dates.feature_date - {{ n }}
            ), 0) as dwell_milliseconds_{{ n }}d,
        {% endfor %}
        count(*) filter (where days.event_date > dates.feature_date - 28) as n_active_days_28d,
        {{ days_between('max(days.event_date)', 'dates.feature_date') }} as days_since_last_event,
        {{ days_between('min(days.event_date)', 'dates.feature_date') }} as tenure_days,
        sum(days.n_dwells) filter (where days.event_date > dates.feature_date - 28) as n_dwells,
        {{ last_by('days.country', 'days.event_date') }} as country,
        {{ last_by('days.device', 'days.event_date') }} as device
    from consenting_days as days
    inner join {{ ref('int_dates__listed') }} as dates on days.event_date <= dates.feature_date
    group by days.person_key, dates.feature_date
),

items as (
    select
        person_key,
        feature_date,
        count(*) as n_items
    from {{ ref('int_person_items__windowed') }}
    group by person_key, feature_date
),

final as (
    select
        persons.person_id,
        windowed.feature_date,
        {% for kind in kinds %}
            {% for n in windows %}
                windowed.n_{{ kind }}_{{ n }}d,
            {% endfor %}
        {% endfor %}
        {% for n in windows %}
            {{ ratio('windowed.dwell_milliseconds_' ~ n ~ 'd', 1000) }} as dwell_seconds_{{ n }}d,
        {% endfor %}
        coalesce(items.n_items, 0) as n_items_28d,
        coalesce(tastes.n_categories_28d, 0) as n_categories_28d,
        windowed.n_active_days_28d,
        windowed.days_since_last_event,
        windowed.tenure_days,
        {{ rounded(ratio('windowed.dwell_milliseconds_28d', '1000 * windowed.n_dwells')) }} as avg_dwell_seconds_28d,
        {{ rounded('50 * power(5e-1, windowed.days_since_last_event / 14e0) + 50 * windowed.n_active_days_28d / 28e0') }} as engagement_score,
        tastes.top_category_28d as top_category,
        windowed.country,
        windowed.device
    from windowed
    inner join {{ ref('int_persons__consented') }} as persons on windowed.person_key = persons.person_key
    left join items
        on windowed.person_key = items.person_key and windowed.feature_date = items.feature_date
    left join {{ ref('feat_user_tastes') }} as tastes
        on persons.person_id = tastes.person_id and windowed.feature_date = tastes.feature_date
)

select * from final
