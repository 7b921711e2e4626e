"""What recommend and refresh share: the lists of a cut, from what the models read to the files of the night's tables."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dawnlist.lake import DataFile, Lake
from dawnlist.rules import Rule
from dawnlist.settings import Settings
from models import frame, lists, merchandising, popular
from models.inputs import Cut, Inputs, listed_persons
from models.policies import Policy
from models.policy_chain import chain

if TYPE_CHECKING:
    import duckdb

POPULAR_ITEMS: Final = "FROM popular_listed ORDER BY scope, scope_value, rank"


@dataclass(frozen=True)
class Listing:
    """What is known before anything is scored: how many persons have candidates of their own, how many lists there are, the policies, the day
    that they are as of (SQL), and rules' names that nothing has.
    """

    n_persons: int
    n_lists: int
    policies: Sequence[Policy]
    made_on: str
    unknown: list[str]


def prepare(connection: "duckdb.DuckDBPyConnection", settings: Settings, inputs: Inputs, cut: Cut, rules: Sequence[Rule], *, window: str) -> Listing:
    """Make the tables that lists are made from (models.frame, models.lists), and `popular_listed`, the popular items of all scopes; `window` goes before the others."""
    persons = listed_persons(connection, inputs)
    frame.prepare(connection, inputs, cut, persons, settings.candidates)
    popular.create_scope_lists(connection, inputs, cut, window=window)
    n_lists = lists.create_recipients(connection, inputs)
    merchandising.create_rules(connection, rules)
    unknown = merchandising.unknown_names(connection)
    popular_items = lists.popular_items(merchandising.eligible(rules), length=settings.recommend.list_length)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE popular_listed AS {popular_items}")
    popular.add_segment_lists(connection, inputs, cut)
    popular.add_season_list(connection, inputs, cut)
    lists.create_fallback(connection, season_every=settings.recommend.season_every)
    return Listing(len(persons), n_lists, chain(connection, inputs, cut, rules, settings.recommend, seed=settings.seed), cut.date, unknown)


def write(
    connection: "duckdb.DuckDBPyConnection",
    settings: Settings,
    tables: Lake,
    version: str,
    listing: Listing,
    scored: Iterable[tuple[int, int]],
    *,
    table: str = "recommendations",
) -> list[DataFile | None]:
    """Write one file of `table` per bucket of persons with a history (stages.scoring), and one of everybody else: they have no candidates of their own."""
    length = settings.recommend.list_length
    files = []
    for first, last in scored:
        lists.create_lists(connection, listing.policies, first=first, last=last, length=length)
        files.append(tables.write(connection, table, lists.recommendations(whose="person", model_version=version, made_on=listing.made_on)))
    lists.create_no_scores(connection)
    lists.create_lists(connection, listing.policies, first=listing.n_persons, last=listing.n_lists, length=length)
    return [*files, tables.write(connection, table, lists.recommendations(whose="other", model_version=version, made_on=listing.made_on))]
