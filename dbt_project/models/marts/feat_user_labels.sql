{#- The rules are data: a rule names a metric and an operator of fixed lists, and nothing of it becomes SQL. -#}
{%- set metrics = rule_metrics() -%}
with rules as (
    select
        *,
        count(*) over (partition by kind, label) as n_conditions
    from {{ ref('person_rules') }}
),

measured as (
    {% for mart, columns in metrics.items() %}
        select
            features.person_id,
            features.feature_date,
            rules.kind,
            rules.label,
            rules.priority,
            rules.n_conditions,
            rules.operator,
            rules.threshold,
            case rules.metric
                {% for column in columns %}
                    when '{{ column }}' then cast(features.{{ column }} as double)
                {% endfor %}
            end as measure
        from {{ ref(mart) }} as features
        inner join rules on rules.metric in ({{ quoted(columns) }})
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

fitting as (
    select
        person_id,
        feature_date,
        kind,
        label,
        rank() over (partition by person_id, feature_date, kind order by priority asc, label asc) as position
    from measured
    where
        case operator
            {% for operator in rule_operators() %}
                when '{{ operator }}' then measure {{ operator }} threshold
            {% endfor %}
        end
    group by person_id, feature_date, kind, label, priority, n_conditions
    having count(*) = n_conditions
),

final as (
    select
        person_id,
        feature_date,
        kind,
        label
    from fitting
    where position = 1 or kind in ({{ quoted(free_kinds()) }})
)

select * from final
