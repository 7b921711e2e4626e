with consenting_users as (
    select person_id from {{ ref('dim_users') }}
    where has_personalisation_consent
)

{% for mart in ('activity', 'purchases', 'rfm', 'habits', 'categories', 'tastes', 'searches', 'commerce', 'labels') %}
    select person_id from {{ ref('feat_user_' ~ mart) }}
    where person_id not in (select consenting_users.person_id from consenting_users)
    union all
{% endfor %}
select person_id from {{ ref('fct_interactions') }}
where is_personal and {{ is_tested() }} and person_id not in (select consenting_users.person_id from consenting_users)
