{% set windows = ['15m', '1h', '6h', '1d', '7d', '28d'] %}
with counted as (
    select
        dates.feature_date,
        days.item_id,
        days.country,
        days.device,
        {{ popularity_counts('days', 'dates') }}
    from {{ ref('int_item_day_places__counted') }} as days
    inner join {{ ref('int_dates__listed') }} as dates
        on days.event_date <= dates.feature_date and days.event_date > dates.feature_date - 28
    group by dates.feature_date, days.item_id, days.country, days.device
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
        case scopes.scope when 'country' then nullif(counted.country, '') when 'device' then nullif(counted.device, '') else '' end as scope_value
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
