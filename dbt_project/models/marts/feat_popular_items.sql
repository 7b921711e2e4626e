{% set windows = {'1h': "'1' hour", '6h': "'6' hour", '1d': "'1' day", '7d': "'7' day", '28d': "'28' day"} %}
with counted as (
    select
        {% for name, span in windows.items() %}
            count(*) filter (
                where interactions.occurred_at >= dates.window_end - interval {{ span }}
            ) as n_events_{{ name }},
        {% endfor %}
        dates.feature_date,
        interactions.item_id,
        interactions.country,
        interactions.device
    from {{ ref('fct_interactions') }} as interactions
    inner join {{ ref('int_dates__listed') }} as dates
        on
            interactions.occurred_at < dates.window_end
            and interactions.occurred_at >= dates.window_end - interval '28' day
    group by dates.feature_date, interactions.item_id, interactions.country, interactions.device
),

scoped as (
    {% for scope in ('global', 'country', 'device') %}
        select
            {% for name in windows %}
                sum(n_events_{{ name }}) as n_events_{{ name }},
            {% endfor %}
            feature_date,
            item_id,
            '{{ scope }}' as scope,
            {{ "''" if scope == 'global' else scope }} as scope_value
        from counted
        {% if scope != 'global' %}where {{ scope }} is not null{% endif %}
        group by all
        {{ '' if loop.last else 'union all' }}
    {% endfor %}
),

scored as (
    {% for name in windows %}
        select feature_date, '{{ name }}' as time_window, scope, scope_value, item_id, cast(n_events_{{ name }} as double) as score
        from scoped
        where n_events_{{ name }} > 0
        union all
    {% endfor %}
    select
        feature_date,
        'trending' as time_window,
        scope,
        scope_value,
        item_id,
        cast({{ trend('n_events_1d', 'n_events_7d') }} as double) as score
    from scoped
    where n_events_1d > 0
),

final as (
    select
        *,
        cast(row_number() over (
            partition by feature_date, time_window, scope, scope_value
            order by score desc, item_id asc
        ) as integer) as rank
    from scored
    qualify rank <= {{ var('popular_items') }}
)

select * from final
