with totals as (
    select
        {% for n in (7, 28, 90) %}
            sum(n_events_{{ n }}d) as n_all_{{ n }}d,
        {% endfor %}
        person_key,
        feature_date
    from {{ ref('int_person_categories__windowed') }}
    group by person_key, feature_date
),

final as (
    select
        persons.person_id,
        categories.feature_date,
        categories.category,
        {% for n in (7, 28, 90) %}
            categories.n_events_{{ n }}d,
        {% endfor %}
        {% for n in (7, 28, 90) %}
            {{ share('categories.n_events_' ~ n ~ 'd', 'totals.n_all_' ~ n ~ 'd') }} as share_{{ n }}d,
        {% endfor %}
        {{ days_between('categories.last_event_date', 'categories.feature_date') }} as days_since_last_event,
        cast(categories.category_rank as integer) as category_rank
    from {{ ref('int_person_categories__windowed') }} as categories
    inner join totals on categories.person_key = totals.person_key and categories.feature_date = totals.feature_date
    inner join {{ ref('int_persons__consented') }} as persons on categories.person_key = persons.person_key
    where categories.category_rank <= {{ var('user_categories') }}
)

select * from final
