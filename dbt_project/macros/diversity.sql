{# `least` and `greatest` leave NULL out in every dialect, so what is not known is kept apart. #}
{% macro between_0_and_1(value) -%}
    case when ({{ value }}) is not null then least(greatest({{ value }}, 0), 1) end
{%- endmacro %}

{#
Shannon entropy in bits of the counts `n_events` of a group (Shannon 1948): log2(N) - sum(n log2 n) / N, which is -sum(p log2 p).
0 = all in one; log2(k) = k equally often. NULL where nothing was counted.
#}
{% macro entropy(n_events) -%}
    case when sum({{ n_events }}) > 0 then {{ rounded(
        'greatest(log2(sum(' ~ n_events ~ ')) - '
        ~ ratio('sum(' ~ exact('case when ' ~ n_events ~ ' > 0 then ' ~ n_events ~ ' * log2(' ~ n_events ~ ') else 0 end') ~ ')', 'sum(' ~ n_events ~ ')')
        ~ ', 0)'
    ) }} end
{%- endmacro %}

{# What one group adds to the divergence below; NULL where `recent` is. #}
{% macro divergence_term(recent, usual) -%}
    (case
        when {{ recent }} > 0 then {{ recent }} * log2(2 * {{ recent }} / ({{ recent }} + {{ usual }}))
        when {{ recent }} = 0 then 0
    end + {{ usual }} * log2(2 * {{ usual }} / ({{ recent }} + {{ usual }}))) / 2
{%- endmacro %}

{#
Jensen-Shannon divergence in bits between the profiles `recent` and `usual` (shares of a group that add up to 1; `usual` above 0), Lin 1991:
the mean of both profiles' divergence from their midpoint. 0 = the same, 1 = nothing in common; NULL where there is no recent profile.
To 4 digits: the shares have 6.
#}
{% macro divergence(recent, usual) -%}
    {{ rounded(between_0_and_1('sum(' ~ exact(divergence_term(recent, usual)) ~ ')'), 4) }}
{%- endmacro %}
