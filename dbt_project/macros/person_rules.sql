{# What the rules of the seed person_rules may speak of: feature table -> its columns. #}
{% macro rule_metrics() -%}
    {{ return({
        'feat_user_activity': ['n_events_1d', 'n_events_7d', 'n_events_28d', 'n_events_90d', 'n_views_28d', 'n_clicks_28d', 'n_add_to_carts_28d',
            'n_purchases_28d', 'n_sessions_28d', 'n_items_28d', 'n_active_days_28d', 'days_since_last_event', 'tenure_days', 'avg_dwell_seconds_28d',
            'engagement_score'],
        'feat_user_habits': ['share_night_90d', 'share_morning_90d', 'share_afternoon_90d', 'share_evening_90d', 'share_weekend_90d',
            'main_device_share_90d', 'n_devices_90d', 'n_countries_90d'],
        'feat_user_tastes': ['n_categories_90d', 'category_entropy_28d', 'category_entropy_90d', 'top_category_share_90d', 'days_since_top_category',
            'preference_shift_7d', 'preference_shift_28d'],
        'feat_user_searches': ['n_searches_28d', 'n_searches_90d', 'n_search_terms_90d'],
        'feat_user_commerce': ['n_cart_days_90d', 'cart_abandonment_rate_28d', 'cart_abandonment_rate_90d', 'n_priced_purchases_90d',
            'bought_price_percentile_90d', 'carted_price_percentile_90d', 'below_median_share_90d', 'n_purchase_days', 'days_since_first_purchase',
            'top_quarter_share'],
        'feat_user_rfm': ['recency_days', 'frequency', 'monetary', 'r_score', 'f_score', 'm_score']
    }) }}
{%- endmacro %}

{# How a rule compares its metric with its threshold. #}
{% macro rule_operators() -%}
    {{ return(['>=', '>', '<=', '<', '=', '<>']) }}
{%- endmacro %}

{# Kinds of rules that give a person one label, the first that fits by priority. #}
{% macro exclusive_kinds() -%}
    {{ return(['segment', 'engagement']) }}
{%- endmacro %}

{# Kinds of rules that give every label that fits. #}
{% macro free_kinds() -%}
    {{ return(['tag']) }}
{%- endmacro %}

{# Names as SQL strings behind each other. #}
{% macro quoted(names) -%}
    {%- for name in names %}'{{ name }}'{{ ', ' if not loop.last }}{% endfor -%}
{%- endmacro %}

{# Whether a feature fits the condition of its row of `rules`. #}
{% macro fits_rule(feature) -%}
    case rules.operator
    {%- for operator in rule_operators() %}
        when '{{ operator }}' then cast({{ feature }} as double) {{ operator }} rules.threshold
    {%- endfor %}
    end
{%- endmacro %}
