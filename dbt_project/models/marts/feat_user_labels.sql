{#- The rules are data: a rule names a metric and an operator of fixed lists, and nothing of it becomes SQL. -#}
{%- set metrics = rule_metrics() -%}
with rules as (
    select
        *,
        count(*) over (partition by kind, label) as n_conditions,
        dense_rank() over (order by kind asc, priority asc, label asc) as label_number,
        dense_rank() over (order by kind asc) as kind_number
    from {{ ref('person_rules') }}
),

-- The rows for which one condition holds.
holding as (
    {% for mart, columns in metrics.items() %}
        {% set is_last_mart = loop.last %}
        {% for column in columns %}
            select
                {{ person_key('features.person_id') }} as person_key,
                features.feature_date,
                rules.kind_number,
                rules.label_number,
                rules.n_conditions
            from {{ ref(mart) }} as features
            inner join rules on rules.metric = '{{ column }}'
            where {{ fits_rule('features.' ~ column) }}
            {{ 'union all' if not (loop.last and is_last_mart) }}
        {% endfor %}
    {% endfor %}
),

fitting as (
    select
        person_key,
        feature_date,
        label_number,
        rank() over (partition by person_key, feature_date, kind_number order by label_number asc) as position
    from holding
    group by person_key, feature_date, kind_number, label_number, n_conditions
    having count(*) = n_conditions
),

labels as (
    select distinct
        kind,
        label,
        label_number
    from rules
),

final as (
    select
        persons.person_id,
        fitting.feature_date,
        labels.kind,
        labels.label
    from fitting
    inner join labels on fitting.label_number = labels.label_number
    inner join {{ ref('int_persons__consented') }} as persons on fitting.person_key = persons.person_key
    where fitting.position = 1 or labels.kind in ({{ quoted(free_kinds()) }})
)

select * from final
