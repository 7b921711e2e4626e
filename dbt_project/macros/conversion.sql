{#
The rate of `n_successes` among `n_trials`, pulled towards `site_rate` by variable conversion_smoothing more trials at that rate (the mean of a
beta distribution whose prior has the site's rate); at most 1, where things are bought unseen. NULL where the site has no trials.
#}
{% macro conversion(n_successes, n_trials, site_rate) -%}
    {{ rounded(between_0_and_1(ratio(
        n_successes ~ ' + ' ~ var('conversion_smoothing') ~ ' * ' ~ site_rate, n_trials ~ ' + ' ~ var('conversion_smoothing')
    ))) }}
{%- endmacro %}
