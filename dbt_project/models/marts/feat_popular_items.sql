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

scopes as (
    {% for scope in ('global', 'country', 'device') %}
        select '{{ scope }}' as scope
        {{ '' if loop.last else 'union all' }}
    {% endfor %}
),

scoped as (
    select
        {% for name in windows %}
            sum(counted.n_events_{{ name }}) as n_events_{{ name }},
        {% endfor %}
        counted.feature_date,
        counted.item_id,
        scopes.scope,
        case scopes.scope when 'country' then counted.country when 'device' then counted.device else '' end as scope_value
    from counted
    cross join scopes
    group by all
),

time_windows as (
    {% for name in windows %}
        select '{{ name }}' as time_window
        union all
    {% endfor %}
    select 'trending' as time_window
),

scored as (
    select
        scoped.feature_date,
        time_windows.time_window,
        scoped.scope,
        scoped.scope_value,
        scoped.item_id,
        cast(case
            {% for name in windows %}
                when time_windows.time_window = '{{ name }}' then scoped.n_events_{{ name }}
            {% endfor %}
            when scoped.n_events_1d > 0 then {{ trend('scoped.n_events_1d', 'scoped.n_events_7d') }}
        end as double) as score
    from scoped
    cross join time_windows
    where scoped.scope_value is not null
),

final as (
    select
        *,
        cast(row_number() over (
            partition by feature_date, time_window, scope, scope_value
            order by score desc, item_id asc
        ) as integer) as rank
    from scored
    where score > 0
    qualify rank <= {{ var('popular_items') }}
)

select * from final
