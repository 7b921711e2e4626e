"""Shared names and types: the lake's tables, the event types, the purposes of consent.

A lake table is a mapping from column to DuckDB type, in file order. Timestamps are UTC and carry no zone; an unknown value is NULL.
`tests/unit/test_columns.py` compares these names with the dbt project.
"""

from typing import Final

EVENT_TYPES: Final = (
    "view",
    "click",
    "search",
    "like",
    "share",
    "comment",
    "rate",
    "add_to_cart",
    "remove_from_cart",
    "purchase",
    "refund",
    "impression",
)

PERSONALISATION: Final = "personalisation"
CONSENT_PURPOSES: Final = (PERSONALISATION, "analytics", "marketing")

SCHEMA_VERSION: Final = 1

EVENTS: Final = {
    "source": "VARCHAR",
    "event_id": "VARCHAR",  # 32 hex digits
    "event_type": "VARCHAR",
    "occurred_at": "TIMESTAMP",
    "event_date": "DATE",  # UTC day of occurred_at: the partition
    "user_id": "VARCHAR",  # keyed hash of the known id, 32 hex digits
    "anonymous_id": "VARCHAR",  # keyed hash of the device or cookie id, 32 hex digits
    "key_id": "VARCHAR",  # which key made the hashes
    "session_id": "VARCHAR",  # as the source sends it
    "item_id": "VARCHAR",
    "order_id": "VARCHAR",
    "quantity": "DECIMAL(18,3)",
    "unit_price": "DECIMAL(18,4)",
    "currency": "VARCHAR",  # ISO 4217
    "rating": "DOUBLE",
    "search_term": "VARCHAR",
    "dwell_seconds": "DOUBLE",
    "device": "VARCHAR",
    "os": "VARCHAR",
    "country": "VARCHAR",
    "region": "VARCHAR",
    "referrer": "VARCHAR",
    "is_bot": "BOOLEAN",
    "properties": "VARCHAR",  # JSON of what the mapping keeps beside the columns
}

ITEMS: Final = {
    "source": "VARCHAR",
    "item_id": "VARCHAR",
    "updated_at": "TIMESTAMP",  # this version of the item holds from here on
    "title": "VARCHAR",
    "text": "VARCHAR",
    "category": "VARCHAR",
    "brand": "VARCHAR",
    "price": "DECIMAL(18,4)",
    "currency": "VARCHAR",
    "launched_at": "TIMESTAMP",
    "is_available": "BOOLEAN",
    "is_blocked": "BOOLEAN",
}

CUSTOMERS: Final = {
    "source": "VARCHAR",
    "user_id": "VARCHAR",
    "key_id": "VARCHAR",
    "updated_at": "TIMESTAMP",
    "registered_at": "TIMESTAMP",
    "country": "VARCHAR",
    "language": "VARCHAR",
    "birth_year": "INTEGER",
}

CONSENTS: Final = {
    "source": "VARCHAR",
    "user_id": "VARCHAR",
    "key_id": "VARCHAR",
    "purpose": "VARCHAR",
    "is_granted": "BOOLEAN",
    "changed_at": "TIMESTAMP",
}

# While two keys overlap (docs/privacy.md): which id of the key before an id of this key is. One row per id seen.
KEY_LINKS: Final = {
    "id": "VARCHAR",  # user or anonymous id, 32 hex digits
    "key_id": "VARCHAR",
    "previous_id": "VARCHAR",
    "previous_key_id": "VARCHAR",
}

# What a staged row has beside the lake's columns: where it was read. Quarantine and ledger use it, the lake does not keep it.
ORIGIN: Final = {"file_id": "VARCHAR"}

QUARANTINE: Final = {
    "source": "VARCHAR",
    "input": "VARCHAR",  # events, items, customers or consents
    "file_id": "VARCHAR",  # SHA-256 of the landed file
    "file_name": "VARCHAR",  # relative to the landing folder
    "line": "BIGINT",  # 1 = first line of the file; NULL where the reader cannot tell
    "field": "VARCHAR",
    "reason": "VARCHAR",
}

LEDGER: Final = {
    "source": "VARCHAR",
    "input": "VARCHAR",
    "file_id": "VARCHAR",
    "file_name": "VARCHAR",
    "file_time": "TIMESTAMP",  # the hour or day that the file's name says; NULL where it says none
    "batch_id": "VARCHAR",
    "n_read": "BIGINT",  # records after explosion = kept + quarantined + duplicates + ignored
    "n_kept": "BIGINT",
    "n_quarantined": "BIGINT",
    "n_duplicates": "BIGINT",
    "n_ignored": "BIGINT",
    "changed_days": "DATE[]",
    "run_id": "VARCHAR",
}

GATE_RESULTS: Final = {
    "run_id": "VARCHAR",
    "checked_for": "TIMESTAMP",  # end of the interval that was checked
    "suite": "VARCHAR",
    "source": "VARCHAR",
    "expectation": "VARCHAR",
    "column_name": "VARCHAR",
    "severity": "VARCHAR",  # critical, row, warning or notice
    "is_success": "BOOLEAN",
    "observed": "VARCHAR",
    "n_unexpected": "BIGINT",
    "n_checked": "BIGINT",
}

SOURCE_SCORES: Final = {
    "run_date": "DATE",
    "source": "VARCHAR",
    "dimension": "VARCHAR",  # reliability, recency, completeness, relevance or total
    "score": "DOUBLE",  # 0 to 1; NULL where there was nothing to look at
    "weight": "DOUBLE",
    "detail": "VARCHAR",  # what the score is made of, in words and counts
    "run_id": "VARCHAR",
}

# What identity makes of the events of one day (docs/identity.md): who was seen with which device. One row per source, user_id and anonymous_id.
IDENTITY_EDGES: Final = {
    "event_date": "DATE",
    "source": "VARCHAR",
    "user_id": "VARCHAR",
    "anonymous_id": "VARCHAR",
    "n_events": "BIGINT",
    "first_seen_at": "TIMESTAMP",
    "last_seen_at": "TIMESTAMP",
    "made_from": "VARCHAR",  # SHA-256 of the day's file of events: another file, other edges
}

# Every id and the person behind it, one partition a night. One row per alias_id.
PERSONS: Final = {"alias_id": "VARCHAR", "person_id": "VARCHAR", "source": "VARCHAR", "is_anonymous": "BOOLEAN"}

# How persons changed from one night to the next. One row per run_date, previous_person_id and person_id.
IDENTITY_HISTORY: Final = {
    "run_date": "DATE",
    "previous_run_date": "DATE",  # the night that it is compared with
    "change": "VARCHAR",  # merge, split, move or rename
    "previous_person_id": "VARCHAR",
    "person_id": "VARCHAR",
    "n_ids": "BIGINT",  # ids that changed from the one person to the other
    "n_known_ids": "BIGINT",  # of these, user ids
    "reasons": "VARCHAR[]",  # of a merge: what links the two; else what was cut; sorted
    "n_links": "BIGINT",  # links of these kinds at the ids that changed
    "n_days": "BIGINT",  # days on which they were seen, summed over the links
    "run_id": "VARCHAR",
}

# Links that a guard or a correction does not let count. One row per run_date, guard and id.
IDENTITY_CUTS: Final = {
    "run_date": "DATE",
    "guard": "VARCHAR",
    "id": "VARCHAR",  # the device, user or person whose links were cut
    "n_links": "BIGINT",  # how many
    "observed": "BIGINT",  # what was counted: users of a device, devices of a user, ids of a person
    "allowed": "BIGINT",  # the setting that it is more than; NULL where there is none
}

# What operators said about ids that are not one person, in the order in which they said it. The last word on a pair counts.
IDENTITY_CORRECTIONS: Final = {
    "said_at": "TIMESTAMP",
    "action": "VARCHAR",  # split, or undo
    "id": "VARCHAR",  # leaves the person of …
    "other_id": "VARCHAR",
    "note": "VARCHAR",
    "run_id": "VARCHAR",
}

LAKE_TABLES: Final = {
    "events": EVENTS,
    "items": ITEMS,
    "customers": CUSTOMERS,
    "consents": CONSENTS,
    "key_links": KEY_LINKS,
    "quarantine": QUARANTINE,
    "ledger": LEDGER,
    "gate_results": GATE_RESULTS,
    "source_scores": SOURCE_SCORES,
    "identity_edges": IDENTITY_EDGES,
    "persons": PERSONS,
    "identity_history": IDENTITY_HISTORY,
    "identity_cuts": IDENTITY_CUTS,
    "identity_corrections": IDENTITY_CORRECTIONS,
}

# The key of each input: rows with the same key are the same record; the lake keeps one of them.
INPUT_KEYS: Final = {
    "events": ("event_id",),
    "items": ("source", "item_id", "updated_at"),
    "customers": ("user_id", "updated_at"),
    "consents": ("user_id", "purpose", "changed_at"),
}

# What the website reads. `user_id` is the person's key; `user_aliases` leads to it from every id of the person.
SERVING_RECOMMENDATIONS: Final = {
    "user_id": "VARCHAR",
    "rank": "INTEGER",  # 1 = best
    "item_id": "VARCHAR",
    "score": "DOUBLE",
    "source": "VARCHAR",  # where the item came from: als, item_to_item, popular_24h …
    "reason": "VARCHAR",
    "variant": "VARCHAR",
    "propensity": "DOUBLE",
    "model_version": "VARCHAR",
    "run_id": "VARCHAR",
    "published_at": "TIMESTAMP",
    "expires_at": "TIMESTAMP",
}

SERVING_SIMILAR_ITEMS: Final = {
    "item_id": "VARCHAR",
    "rank": "INTEGER",
    "similar_item_id": "VARCHAR",
    "score": "DOUBLE",
    "source": "VARCHAR",
    "model_version": "VARCHAR",
    "run_id": "VARCHAR",
    "published_at": "TIMESTAMP",
    "expires_at": "TIMESTAMP",
}

SERVING_POPULAR_ITEMS: Final = {
    "scope": "VARCHAR",  # global, country or device
    "scope_value": "VARCHAR",  # '' for global
    "rank": "INTEGER",
    "item_id": "VARCHAR",
    "score": "DOUBLE",
    "source": "VARCHAR",
    "run_id": "VARCHAR",
    "published_at": "TIMESTAMP",
    "expires_at": "TIMESTAMP",
}

# Of people with consent alone.
SERVING_USER_SEGMENTS: Final = {
    "user_id": "VARCHAR",
    "kind": "VARCHAR",  # cluster, rfm, segment, engagement, tag or trigger
    "segment": "VARCHAR",  # number of the cluster, id of the trigger, else the name
    "segment_label": "VARCHAR",  # of a trigger: its tag
    "run_id": "VARCHAR",
    "published_at": "TIMESTAMP",
    "expires_at": "TIMESTAMP",
}

SERVING_USER_ALIASES: Final = {"alias_id": "VARCHAR", "user_id": "VARCHAR"}

SERVING_TABLES: Final = {
    "recommendations": SERVING_RECOMMENDATIONS,
    "similar_items": SERVING_SIMILAR_ITEMS,
    "popular_items": SERVING_POPULAR_ITEMS,
    "user_segments": SERVING_USER_SEGMENTS,
    "user_aliases": SERVING_USER_ALIASES,
}
