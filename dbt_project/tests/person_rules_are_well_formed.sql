-- Every condition is one that feat_user_labels understands, a label has one priority, and exclusive kinds have no two labels of one priority.
with rules as (
    select * from {{ ref('person_rules') }}
),

metrics as (
    {% for columns in rule_metrics().values() %}
        {% set is_last_mart = loop.last %}
        {% for column in columns %}
            select '{{ column }}' as metric
            {{ 'union all' if not (loop.last and is_last_mart) }}
        {% endfor %}
    {% endfor %}
),

mistakes as (
    select
        kind,
        label,
        'condition' as mistake
    from rules
    where
        coalesce(kind not in ({{ quoted(exclusive_kinds() + free_kinds()) }}), true)
        or coalesce(metric not in (select metrics.metric from metrics), true)
        or coalesce(operator not in ({{ quoted(rule_operators()) }}), true)
        or threshold is null
        or priority is null
        or label is null
    union all
    select
        kind,
        label,
        'several priorities' as mistake
    from rules
    group by kind, label
    having count(distinct priority) > 1
    union all
    select
        kind,
        max(label) as label,
        'shared priority' as mistake
    from rules
    where kind in ({{ quoted(exclusive_kinds()) }})
    group by kind, priority
    having count(distinct label) > 1
)

select * from mistakes
