with featured_persons as (
    {% for mart in ('activity', 'purchases', 'rfm', 'habits', 'categories', 'tastes', 'searches', 'commerce', 'labels') %}
        select person_id from {{ ref('feat_user_' ~ mart) }}
        union all
    {% endfor %}
    select person_id from {{ ref('fct_interactions') }}
    where is_personal and {{ is_changed_day() }}
)

select featured_persons.person_id
from featured_persons
left join {{ ref('dim_users') }} as users on featured_persons.person_id = users.person_id
where not coalesce(users.has_personalisation_consent, false)
