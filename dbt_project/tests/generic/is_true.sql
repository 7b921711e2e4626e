{# Fails with the rows for which `condition` is false or unknown. #}
{% test is_true(model, condition) %}
select *
from {{ model }}
where not coalesce({{ condition }}, false)
{% endtest %}
