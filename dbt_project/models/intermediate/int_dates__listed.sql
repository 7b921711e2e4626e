with listed as (
    select
        cast('{{ run_date() }}' as date) as feature_date,
        true as is_run_date
    {% for day in feature_dates() %}
        {%- if day != run_date() %}
            union
            select
                cast('{{ day }}' as date) as feature_date,
                false as is_run_date
        {%- endif %}
    {% endfor %}
),

final as (
    select
        feature_date,
        is_run_date,
        {{ end_of('feature_date') }} as window_end
    from listed
)

select * from final
