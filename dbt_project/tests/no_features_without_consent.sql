with featured_persons as (
    select person_id from {{ ref('feat_user_activity') }}
    union
    select person_id from {{ ref('feat_user_purchases') }}
    union
    select person_id from {{ ref('feat_user_rfm') }}
    {% for mart in ('habits', 'categories', 'tastes', 'searches', 'commerce', 'labels') %}
        union
        select person_id from {{ ref('feat_user_' ~ mart) }}
    {% endfor %}
    union
    select person_id from {{ ref('fct_interactions') }}
    where is_personal
)

select featured_persons.person_id
from featured_persons
left join {{ ref('dim_users') }} as users on featured_persons.person_id = users.person_id
where not coalesce(users.has_personalisation_consent, false)
