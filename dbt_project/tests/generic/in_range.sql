{# Fails with the values of the column outside `at_least` to `at_most`, both inclusive. NULL passes. #}
{% test in_range(model, column_name, at_least, at_most) %}
select {{ column_name }}
from {{ model }}
where {{ column_name }} not between {{ at_least }} and {{ at_most }}
{% endtest %}
