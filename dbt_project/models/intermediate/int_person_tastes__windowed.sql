with person_items as (
    select
        interactions.person_id,
        dates.feature_date,
        interactions.item_id,
        count(*) as n_events
    from {{ ref('int_events__sessionised') }} as interactions
    inner join {{ ref('int_persons__consented') }} as persons on interactions.person_id = persons.person_id
    inner join {{ ref('int_dates__listed') }} as dates
        on
            interactions.occurred_at < dates.window_end
            and interactions.occurred_at >= dates.window_end - interval '28' day
    where
        persons.has_personalisation_consent
        and interactions.item_id is not null
        and interactions.weight > 0
    group by interactions.person_id, dates.feature_date, interactions.item_id
),

person_categories as (
    select
        person_items.person_id,
        person_items.feature_date,
        items.category,
        count(*) as n_items,
        sum(person_items.n_events) as n_events
    from person_items
    left join {{ ref('int_items__as_of') }} as items
        on person_items.item_id = items.item_id and person_items.feature_date = items.feature_date
    group by person_items.person_id, person_items.feature_date, items.category
),

ranked_categories as (
    select
        *,
        row_number() over (
            partition by person_id, feature_date
            order by category is null asc, n_events desc, category asc
        ) as category_rank
    from person_categories
),

final as (
    select
        person_id,
        feature_date,
        cast(sum(n_items) as bigint) as n_items_28d,
        count(category) as n_categories_28d,
        max(category) filter (where category_rank = 1) as top_category
    from ranked_categories
    group by person_id, feature_date
)

select * from final
