with scores as (
    {% for score in range(1, 6) %}
        select {{ score }} as score{{ ' union all' if not loop.last }}
    {% endfor %}
)

select
    recency.score as r_score,
    worth.score as fm_score,
    count(segments.rfm_segment) as n_segments
from scores as recency
cross join scores as worth
left join {{ ref('rfm_segments') }} as segments
    on
        recency.score between segments.r_min and segments.r_max
        and worth.score between segments.fm_min and segments.fm_max
group by recency.score, worth.score
having count(segments.rfm_segment) <> 1
