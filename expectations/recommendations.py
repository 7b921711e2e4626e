"""What a night would publish: lists per person, similar items, popular items. Each keeps one promise: nothing blocked, nothing unknown."""

import great_expectations.expectations as gxe

from expectations.kinds import Expectation, Scope, critical, filled, has_rows, known, no_rows, pseudonyms, unique

# Of who has not consented nothing is known: no history, country, device or segment; what a rule gives to everybody it gives to them, too.
OF_A_PERSON = "source IN ('popular_segment', 'popular_country', 'popular_device') OR regexp_matches(source, '^(popular|trending|rule$)') IS FALSE"
WITHOUT_A_LIST = "SELECT 1 AS broken FROM dim_users ANTI JOIN {batch} USING (person_id) WHERE has_personalisation_consent"
WITHOUT_A_GLOBAL_LIST = "SELECT 1 AS broken FROM (SELECT count(*) FILTER (scope = 'global') AS n FROM {batch}) WHERE n = 0"
NOT_TO_BE_SHOWN = "SELECT item_id AS {column} FROM dim_items WHERE is_blocked OR NOT is_available"


def suite(scope: Scope) -> list[Expectation]:
    """The expectations of the list that the suite is named after."""
    if scope.suite == "recommendations":
        return _recommendations(scope)
    return _similar_items() if scope.suite == "similar_items" else _popular_items()


def _recommendations(scope: Scope) -> list[Expectation]:
    """One row per (person_id, rank). Parameter: exclude_bought. Tables: dim_users, dim_items, and fct_interactions where bought items are excluded."""
    length = scope.settings.recommend.list_length
    made_from_a_person = _of_people("NOT has_personalisation_consent", OF_A_PERSON)
    found = [
        has_rows(),
        *filled("person_id", "rank", "item_id", "score", "source"),
        *pseudonyms("person_id"),
        unique("person_id", "rank"),
        unique("person_id", "item_id"),
        critical(gxe.ExpectColumnValuesToBeBetween, f"no list is longer than {length}", column="rank", min_value=1, max_value=length),
        critical(gxe.ExpectColumnValuesToBeBetween, "a probability", column="propensity", min_value=0, max_value=1),
        no_rows("what was drawn says how likely that was", "SELECT 1 AS broken FROM {batch} WHERE source = 'exploration' AND propensity IS NULL"),
        no_rows("every score is a finite number", "SELECT 1 AS broken FROM {batch} WHERE NOT isfinite(score)"),
        _ranks_are_complete("person_id"),
        known("person_id", "dim_users", "person_id"),
        known("item_id", "dim_items", "item_id"),
        _shown_items_only("item_id"),
        no_rows("who has not consented gets nothing that was made from a history", made_from_a_person),
        no_rows("everybody who has consented has a list", WITHOUT_A_LIST),
    ]
    return found + ([_nothing_bought(scope)] if scope.parameters.get("exclude_bought") and "fct_interactions" in scope.tables else [])


def _similar_items() -> list[Expectation]:
    """One row per (item_id, rank)."""
    return [
        *filled("item_id", "rank", "similar_item_id", "score"),
        unique("item_id", "rank"),
        unique("item_id", "similar_item_id"),
        _ranks_are_complete("item_id"),
        known("similar_item_id", "dim_items", "item_id"),
        _shown_items_only("similar_item_id"),
        no_rows("no item is similar to itself", "SELECT 1 AS broken FROM {batch} WHERE item_id = similar_item_id"),
    ]


def _popular_items() -> list[Expectation]:
    """One row per (scope, scope_value, rank); scope 'global' is the list for everybody and must be there."""
    return [
        has_rows(),
        *filled("scope", "scope_value", "rank", "item_id", "score"),
        unique("scope", "scope_value", "rank"),
        unique("scope", "scope_value", "item_id"),
        _ranks_are_complete("scope, scope_value"),
        known("item_id", "dim_items", "item_id"),
        _shown_items_only("item_id"),
        no_rows("there is a list for everybody", WITHOUT_A_GLOBAL_LIST),
    ]


def _ranks_are_complete(key: str) -> Expectation:
    return no_rows("ranks run from 1 without gaps", f"SELECT 1 AS broken FROM {{batch}} GROUP BY {key} HAVING min(rank) <> 1 OR max(rank) <> count(*)")


def _shown_items_only(column: str) -> Expectation:
    query = f"SELECT 1 AS broken FROM {{batch}} SEMI JOIN ({NOT_TO_BE_SHOWN.format(column=column)}) USING ({column})"
    return no_rows("no blocked or unavailable item", query)


def _of_people(which: str, against: str) -> str:
    return f"SELECT 1 AS broken FROM {{batch}} SEMI JOIN (SELECT person_id FROM dim_users WHERE {which}) USING (person_id) WHERE {against}"


def _nothing_bought(scope: Scope) -> Expectation:
    # Whoever has not consented gets the list for everybody: their purchases are not looked at.
    consenting = "SELECT person_id FROM dim_users WHERE has_personalisation_consent"
    bought = (
        f"SELECT person_id, item_id FROM fct_interactions SEMI JOIN ({consenting}) USING (person_id) "
        f"WHERE event_type = 'purchase' AND occurred_at < TIMESTAMP '{scope.checked_for}'"
    )
    return no_rows("nobody is offered what they have bought", f"SELECT 1 AS broken FROM {{batch}} SEMI JOIN ({bought}) USING (person_id, item_id)")
