{# Fails with the rows in which one of `columns` is below 0: one scan for all of them. NULL passes. #}
{% test never_negative(model, columns) %}
select {{ columns | join(', ') }}
from {{ model }}
where {{ columns | join(' < 0 or ') }} < 0
{% endtest %}
