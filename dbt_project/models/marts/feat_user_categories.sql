with final as (
    select
        persons.person_id,
        categories.feature_date,
        categories.category,
        {% for n in (7, 28, 90) %}
            categories.n_events_{{ n }}d,
        {% endfor %}
        {% for n in (7, 28, 90) %}
            categories.share_{{ n }}d,
        {% endfor %}
        {{ days_between('categories.last_event_date', 'categories.feature_date') }} as days_since_last_event,
        cast(categories.category_rank as integer) as category_rank
    from {{ ref('int_person_categories__windowed') }} as categories
    inner join {{ ref('int_persons__consented') }} as persons on categories.person_key = persons.person_key
    where categories.category_rank <= {{ var('user_categories') }}
)

select * from final
