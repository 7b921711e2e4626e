-- The interactions of the 28 days before the end of a date, over all items; in a build on kept rows of the run date's own day, which has changed.
{% set n_days, window = (1, '1d') if keeps_rows() else (28, '28d') %}
with expected as (
    select
        dates.feature_date,
        count(*) as n_events
    from {{ ref('fct_interactions') }} as interactions
    inner join {{ ref('int_dates__listed') }} as dates
        on
            interactions.event_date <= dates.feature_date
            and interactions.event_date > dates.feature_date - {{ n_days }}
    group by dates.feature_date
),

counted as (
    select
        feature_date,
        sum(n_events_{{ window }}) as n_events
    from {{ ref('feat_item_popularity') }}
    group by feature_date
)

select
    counted.feature_date,
    counted.n_events,
    expected.n_events as n_expected
from counted
left join expected on counted.feature_date = expected.feature_date
where counted.n_events <> coalesce(expected.n_events, 0)
