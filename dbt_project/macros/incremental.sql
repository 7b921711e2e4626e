-- noqa: disable=LT02
{#
Tables that are kept from night to night: only the rows of what changed are made again. To add one, write

    {{ config(materialized=kept(), pre_hook="{{ forget_stale('person_day') }}") }}

    with person_events as (
        select * from {{ fresh_events(ref('int_events__sessionised')) }}
    ),

The word says what a row depends on beside the seeds and the variables:
  day         the events of its event_date (column event_date), whoever's they are: an item's day, a search term's day. No person_id, because
              the persons behind yesterday's ids are resolved anew every night; keep visitor_id and join the persons later.
  person_day  the events of its person_id on its event_date, and the sessions that reach into that day. No other person, no window over
              a person's whole life, and no other day beyond the sessions'.
  person_day_items
              the same, and what the catalogue says of that day about the items in these events (int_item_versions__ended).
  order       the lines of its order (columns source and order_id), whatever their days, and the persons behind their visitors.
None may depend on what holds as of the run date: consent, the newest catalogue, the persons of anonymous visitors (day). Join those in the tables
and views behind it, which are made anew every night.

Before the model runs `forget_stale` deletes its stale rows, then what it selects is added. Where there is
nothing to keep (first build, changed SQL, seeds or settings, a backfill, Spark) everything is made and `is_stale` is `true`. Which days,
persons and pairs are stale: dawnlist/build_state.py, int_person_days__spanned and int_item_versions__ended. tests/integration/test_incremental.py compares every mart
with a full build.
#}
{% macro kept() -%}
    {{ 'incremental' if target.type == 'duckdb' else 'table' }}
{%- endmacro %}

{#
For a model that every table behind it reads no more than a night's part of, or that is a late join to kept tables: not worth its own rows
in the build database. Spark keeps nothing from night to night, and reads a table faster.
#}
{% macro not_kept() -%}
    {{ 'view' if target.type == 'duckdb' else 'table' }}
{%- endmacro %}

{# A condition: the row is to be made in this build. `relation`: the alias of the table, where it needs one. #}
{% macro is_stale(kept_by, relation=none) -%}
    {{- is_made_again(kept_by, relation) if execute and this is not none and is_incremental() else 'true' }}
{%- endmacro %}

{# That condition in a build that keeps rows. #}
{% macro is_made_again(kept_by, relation=none) -%}
    {%- set prefix = relation ~ '.' if relation else '' -%}
    {%- if kept_by == 'day' -%}
        {{ prefix }}event_date in ({{ dates_in('lake.stale_days') }})
    {%- elif kept_by == 'order' -%}
        ({{ prefix }}source, {{ prefix }}order_id) in (select (source, order_id) from lake.stale_orders)
    {%- else -%}
        {%- set pairs = stale_pairs(kept_by) -%}
        {{ prefix }}event_date in ({{ dates_in(pairs) }})
        and {{ prefix }}person_id in (select person_id from {{ pairs }})  {# found faster than pairs: most rows go here #}
        and ({{ prefix }}person_id, {{ prefix }}event_date) in (select (person_id, event_date) from {{ pairs }})
    {%- endif -%}
{%- endmacro %}

{#
`events`, which are those of int_events__sessionised, for a table that is kept by person_day: in a build that keeps rows the stale ones alone, which are
looked for once and put aside by the post-hook `put_fresh_events_aside`.
#}
{% macro fresh_events(events) -%}
    {{ 'lake.fresh_events' if execute and this is not none and is_incremental() else events }}
{%- endmacro %}

{% macro put_fresh_events_aside() -%}
    {%- if execute and this is not none and is_incremental() -%}
        create or replace table lake.fresh_events as select * from {{ this }} where {{ is_made_again('person_day') }}
    {%- endif -%}
{%- endmacro %}

{# The table of the pairs of person and day whose rows are made again. #}
{% macro stale_pairs(kept_by) -%}
    {{ {'person_day': 'lake.stale_person_days', 'person_day_items': 'lake.stale_person_day_items'}[kept_by] }}
{%- endmacro %}

{# The days of a relation as literals, so that files of other days are not opened; NULL where there is none. #}
{% macro dates_in(relation) -%}
    {%- set days = run_query('select distinct event_date from ' ~ relation ~ ' order by event_date').columns[0].values() -%}
    {%- for day in days -%}
        date '{{ day }}'{{ ', ' if not loop.last }}
    {%- else -%}
        null
    {%- endfor -%}
{%- endmacro %}

{# Pre-hook of a kept table: delete the rows that are made again. #}
{% macro forget_stale(kept_by) -%}
    {%- if kept_by in ('day', 'order') -%}
        {%- if execute and this is not none and is_incremental() -%}
            delete from {{ this }} where {{ is_made_again(kept_by) }}
        {%- endif -%}
    {%- else -%}
        {%- do ref('int_person_days__spanned') -%}  {# which comes first: its post-hook finds the pairs #}
        {%- if execute and this is not none and is_incremental() -%}
            delete from {{ this }} as kept using {{ stale_pairs(kept_by) }} as stale
            where
                kept.person_id = stale.person_id
                and kept.event_date = stale.event_date
                and kept.event_date in ({{ dates_in(stale_pairs(kept_by)) }})  {# other days' rows are not read #}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# Of int_person_days__spanned: the person's events of the day changed, or the ids behind the person. #}
{% macro is_stale_span() -%}
    {%- if execute and this is not none and is_incremental() -%}
        (
            (event_date in ({{ dates_in('lake.stale_days') }}) and (person_id, event_date) in (select (person_id, event_date) from lake.changed_person_days))
            or person_id in (select person_id from lake.stale_persons)
        )
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{#
The days on which such rows can be: those that changed, and those on which the persons were there until now, whoever they are from now on. Files
of other days are not opened. It is asked before the stale rows are deleted.
#}
{% macro is_day_of_stale_spans() -%}
    {%- if execute and this is not none and is_incremental() -%}
        {%- set former = 'select event_date from ' ~ this ~ ' where person_id in (select person_id from lake.stale_persons)' -%}
        event_date in ({{ dates_in('(select event_date from lake.stale_days union ' ~ former ~ ')') }})
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{# Pre-hooks of int_person_days__spanned: put its stale rows aside and delete them. #}
{% macro put_stale_spans_aside() -%}
    {%- if execute and this is not none and is_incremental() -%}
        create or replace table lake.former_spans as select * from {{ this }} where {{ is_stale_span() }}
    {%- endif -%}
{%- endmacro %}

{% macro forget_stale_spans() -%}
    {%- if execute and this is not none and is_incremental() -%}
        delete from {{ this }} where {{ is_stale_span() }}
    {%- endif -%}
{%- endmacro %}

{#
Post-hook of int_person_days__spanned: the pairs of person and day whose rows are made again. Those of changed days and persons, as they were and
as they are, and of the same person every day before and after that a session may connect with one of these: from day to day, the last
event (the later of the two states) is no more than the idle time before the next day's first (the earlier of the two).
#}
{% macro find_stale_person_days() -%}
    {%- if execute and this is not none and is_incremental() -%}
        create or replace table lake.stale_person_days as
        with changed as (
            select person_id, event_date from lake.former_spans
            union
            select person_id, event_date from {{ this }} where {{ is_stale_span() }}
        ),
        both_states as (
            select person_id, event_date, min(first_event_at) as first_event_at, max(last_event_at) as last_event_at
            from (select * from {{ this }} union all select * from lake.former_spans)
            where person_id in (select person_id from changed)
            group by person_id, event_date
        ),
        chain_starts as (
            select
                *,
                coalesce(
                    first_event_at > lag(last_event_at) over person_timeline + interval '{{ var("session_idle_minutes") }}' minute, true
                ) as is_chain_start
            from both_states
            window person_timeline as (partition by person_id order by event_date)
        ),
        chains as (
            select
                *,
                sum(cast(is_chain_start as integer)) over (partition by person_id order by event_date rows unbounded preceding) as chain
            from chain_starts
        )
        select person_id, event_date from chains
        where (person_id, chain) in (
            select (chains.person_id, chains.chain)
            from chains inner join changed on chains.person_id = changed.person_id and chains.event_date = changed.event_date
        )
    {%- endif -%}
{%- endmacro %}

{# Hooks of int_order_lines__collected: the orders of which a line was or is on a changed day, or is of an id that has another person. #}
{% macro put_stale_orders_aside() -%}
    {%- if execute and this is not none and is_incremental() -%}
        create or replace table lake.former_orders as select distinct source, order_id from {{ this }} where {{ is_made_again('day') }}
    {%- endif -%}
{%- endmacro %}

{% macro find_stale_orders() -%}
    {%- if execute and this is not none and is_incremental() -%}
        create or replace table lake.stale_orders as
        select source, order_id from lake.former_orders
        union
        select source, order_id from {{ this }} where {{ is_made_again('day') }}
        union
        select source, order_id from {{ this }}
        where visitor_id in (
            select alias_id from (select alias_id, person_id from lake.persons union all select alias_id, person_id from state.persons)
            where person_id in (select person_id from lake.stale_persons)
        )
    {%- endif -%}
{%- endmacro %}

{#
Post-hook of int_item_versions__ended: the pairs of person and day with an item that was of another category on that day in the build before, or of
none, beside the pairs that are stale anyway.
#}
{% macro find_recategorised_person_days() -%}
    {%- set events = ref('int_events__sessionised') -%}
    {%- if keeps_rows() -%}
        create or replace table lake.recategorised_person_days as
        with former as ({{ unbroken_versions('state.item_versions', this) }}),
        present as ({{ unbroken_versions(this, 'state.item_versions') }}),
        recategorised as (
            select
                present.item_id,
                greatest(present.valid_from, former.valid_from) as valid_from,
                least(present.valid_to, former.valid_to) as valid_to
            from present
            inner join former
                on
                    present.item_id = former.item_id
                    and present.valid_from < former.valid_to
                    and former.valid_from < present.valid_to
            where present.category is distinct from former.category
        )
        select distinct events.person_id, events.event_date
        from {{ events }} as events
        inner join recategorised
            on
                events.item_id = recategorised.item_id
                and events.event_date >= recategorised.valid_from
                and events.event_date < recategorised.valid_to
        where (events.person_id, events.event_date) not in (select (person_id, event_date) from lake.stale_person_days)
    {%- endif -%}
{%- endmacro %}

{# The rest of a union with `fresh_events`, for a table that is kept by person_day_items: the events of these pairs. #}
{% macro recategorised_events(events) -%}
    {%- if execute and this is not none and is_incremental() -%}
        {%- set pairs = 'lake.recategorised_person_days' -%}
        union all
        select * from {{ events }}
        where
            event_date in ({{ dates_in(pairs) }})
            and (person_id, event_date) in (select (person_id, event_date) from {{ pairs }})
    {%- endif -%}
{%- endmacro %}

{#
A select: `versions`, and a version without a category for the time before an item's first one, which is all time for items that only `others`
have.
#}
{% macro unbroken_versions(versions, others) -%}
    select item_id, category, valid_from, coalesce(valid_to, date '9999-12-31') as valid_to from {{ versions }}
    union all
    select item_id, null, date '0001-01-01', min(valid_from) from {{ versions }} group by item_id
    union all
    select distinct item_id, null, date '0001-01-01', date '9999-12-31' from {{ others }}
    where item_id not in (select item_id from {{ versions }})
{%- endmacro %}
