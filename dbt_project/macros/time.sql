{# The first moment after the day `day`: windows are half-open and end here. #}
{% macro end_of(day) -%}
    (cast({{ day }} as timestamp) + interval '1' day)
{%- endmacro %}

{# The first moment after the run date. #}
{% macro night_end() -%}
    {{ end_of("'" ~ run_date() ~ "'") }}
{%- endmacro %}

{# Whole UTC days from `earlier` to `later`; NULL where one is. Dates less a whole number of days are written `day - 28` on every engine. #}
{% macro days_between(earlier, later) -%}
    {{ adapter.dispatch('days_between')(earlier, later) }}
{%- endmacro %}

{% macro default__days_between(earlier, later) -%}
    (cast({{ later }} as date) - cast({{ earlier }} as date))
{%- endmacro %}

{% macro spark__days_between(earlier, later) -%}
    cast(datediff(cast({{ later }} as date), cast({{ earlier }} as date)) as bigint)
{%- endmacro %}

{# Microseconds since 1970 as a whole number, of which differences and sums are exact. #}
{% macro epoch_microseconds(moment) -%}
    {{ adapter.dispatch('epoch_microseconds')(moment) }}
{%- endmacro %}

{% macro default__epoch_microseconds(moment) -%}
    epoch_us({{ moment }})
{%- endmacro %}

{% macro spark__epoch_microseconds(moment) -%}
    unix_micros({{ moment }})
{%- endmacro %}

{# Seconds from `earlier` to `later` as a double, exact to the microsecond; NULL where one is. #}
{% macro seconds_between(earlier, later) -%}
    (({{ epoch_microseconds(later) }} - {{ epoch_microseconds(earlier) }}) / 1e6)
{%- endmacro %}

{# Monday = 1 to Sunday = 7. #}
{% macro day_of_week(day) -%}
    {{ adapter.dispatch('day_of_week')(day) }}
{%- endmacro %}

{% macro default__day_of_week(day) -%}
    cast(isodow({{ day }}) as integer)
{%- endmacro %}

{% macro spark__day_of_week(day) -%}
    (weekday({{ day }}) + 1)
{%- endmacro %}

{# The first day of the week (its Monday), month, quarter or year that `day` lies in, as a date. #}
{% macro first_day_of(period, day) -%}
    cast(date_trunc('{{ period }}', {{ day }}) as date)
{%- endmacro %}

{# What the clock shows in `zone` (an IANA name, quoted) at the UTC moment. #}
{% macro local_time(moment, zone) -%}
    {{ adapter.dispatch('local_time')(moment, zone) }}
{%- endmacro %}

{% macro default__local_time(moment, zone) -%}
    timezone({{ zone }}, timezone('UTC', {{ moment }}))
{%- endmacro %}

{% macro spark__local_time(moment, zone) -%}
    convert_timezone('UTC', {{ zone }}, {{ moment }})
{%- endmacro %}

{# In a select list: one row for each day from `first` to `last`, both inclusive. #}
{% macro each_day(first, last) -%}
    {{ adapter.dispatch('each_day')(first, last) }}
{%- endmacro %}

{% macro default__each_day(first, last) -%}
    cast(unnest(generate_series(cast({{ first }} as date), cast({{ last }} as date), interval '1' day)) as date)
{%- endmacro %}

{% macro spark__each_day(first, last) -%}
    explode(sequence(cast({{ first }} as date), cast({{ last }} as date), interval '1' day))
{%- endmacro %}
