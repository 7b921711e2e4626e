with versions as (
    select * from {{ ref('stg_lake__items') }}
),

dates as (
    select * from {{ ref('int_dates__listed') }}
),

final as (
    select
        versions.item_id,
        dates.feature_date,
        dates.is_run_date,
        versions.source,
        versions.updated_at,
        versions.title,
        versions.text,
        versions.category,
        versions.brand,
        versions.price,
        versions.currency,
        versions.launched_at,
        versions.is_blocked,
        versions.is_available and coalesce(versions.launched_at < dates.window_end, true) as is_available
    from versions
    inner join dates on versions.updated_at < dates.window_end
    qualify row_number() over (
        partition by versions.item_id, dates.feature_date
        order by versions.updated_at desc, versions.source asc
    ) = 1
)

select * from final
