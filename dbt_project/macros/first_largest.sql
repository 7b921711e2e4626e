{# The first of `names` whose column (`prefix` and `suffix` around the name) is the largest. #}
{% macro first_largest(prefix, names, suffix) -%}
    case
        {% for name in names[:-1] %}
            when {{ prefix ~ name ~ suffix }} >= greatest({% for other in names %}{{ prefix ~ other ~ suffix }}{{ ', ' if not loop.last }}{% endfor %})
                then '{{ name }}'
        {% endfor %}
        else '{{ names[-1] }}'
    end
{%- endmacro %}
