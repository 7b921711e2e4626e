{#
dbt's test `unique`. DuckDB groups hashes, which is far less work than to group long keys, and then the values of the few hashes that
come more than once.
#}
{% macro duckdb__test_unique(model, column_name) %}
select
    {{ column_name }} as unique_field,
    count(*) as n_records
from {{ model }}
where hash({{ column_name }}) in (
    select hash({{ column_name }})
    from {{ model }}
    where {{ column_name }} is not null
    group by hash({{ column_name }})
    having count(*) > 1
) and {{ column_name }} is not null
group by {{ column_name }}
having count(*) > 1
{% endmacro %}
