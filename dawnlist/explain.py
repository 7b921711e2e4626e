"""`dawnlist explain`: why each item is on a person's list. Worked out again from the night's tables and its model, which do not change."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

from dawnlist import privacy, sources
from dawnlist.columns import PERSONS
from dawnlist.command_line import wide_console
from dawnlist.duck import connect, scan
from dawnlist.errors import MissingInputError
from dawnlist.stages.base import Night
from dawnlist.stages.modelling import cut_of, inputs_of, threads_of
from models import explanation, frame, lists, registry
from models.inputs import listed_persons

if TYPE_CHECKING:
    import duckdb

    from dawnlist.lake import Snapshot
    from dawnlist.settings import Settings

TOLERANCE = 1e-4  # contributions are rounded, each by itself
NOT_SCORED = ("rule", "exploration")  # a place there has no score of the ranker
LISTED = {"person_id": "VARCHAR", "rank": "INTEGER", "item_id": "VARCHAR", "score": "DOUBLE", "source": "VARCHAR", "reason": "VARCHAR"} | {
    "propensity": "DOUBLE",
    "model_version": "VARCHAR",
    "rules": "VARCHAR[]",
}


def explain(settings: "Settings", user: str, run_date: date, *, n_features: int) -> dict[str, Any]:
    """The list of `user` (a user id or person id of the lake, or a raw id of one of the site's sources) of the night of `run_date`, item by item.

    person_id, run_date, model_version, served (the strategy that orders), note (a doubt, or None) and items: the columns of recommendations, and what models.explanation.Why has.
    A list that was carried over is explained by the night that made it, whose run date is given. Raises MissingInputError where the night has no lists, or none for this person.
    """
    night = Night.load(settings, run_date)
    tables = night.tables.snapshot()
    with connect(settings) as connection:
        listed = scan(tables.require("recommendations", stage="recommend"), {**LISTED, "made_on": "DATE"})
        person = _person(connection, settings, tables, listed, user, run_date)
        rows = connection.execute(f"SELECT {', '.join(LISTED)} FROM {listed} WHERE person_id = ? ORDER BY rank", [person]).fetchall()
        items = [dict(zip(LISTED, row, strict=True)) for row in rows]
        [(made_on,)] = connection.execute(f"SELECT coalesce(min(made_on), ?) FROM {listed} WHERE person_id = ?", [run_date, person]).fetchall()
        if made_on < run_date:
            return explain(settings, person, made_on, n_features=n_features)
        model = registry.load(settings.models_dir, items[0]["model_version"])
        why = _why(connection, settings, night, tables, model, person, n_features)
    nothing = explanation.Why((), None, None, ())
    found = [(item, why.get(item["item_id"], nothing)) for item in items]
    return {
        "person_id": person,
        "run_date": str(run_date),
        "model_version": model.version,
        "served": model.metadata["served"],
        "note": _note(found),
        "items": [{name: value for name, value in item.items() if name not in ("person_id", "model_version")} | asdict(one) for item, one in found],
    }


def _why(
    connection: "duckdb.DuckDBPyConnection", settings: "Settings", night: Night, tables: "Snapshot", model: registry.Model, person: str, n_features: int
) -> Mapping[str, explanation.Why]:
    """Nothing for whoever has no candidates of their own: without consent or without a history."""
    cut = cut_of(settings, night.run_date, horizons_back=0)
    inputs = inputs_of(tables, cut.as_of)
    if person not in listed_persons(connection, inputs):
        return {}
    frame.prepare(connection, inputs, cut, [person], settings.candidates)
    order = lists.Order.of(model, keep=settings.ranker.max_candidates)
    return explanation.of_person(connection, order, n_features=n_features, threads=threads_of(settings))


def _note(found: list[tuple[dict[str, Any], explanation.Why]]) -> str | None:
    """What to say where today's settings do not give the scores that the night wrote down."""
    other = [item for item, why in found if why.score is not None and item["source"] not in NOT_SCORED and abs(why.score - item["score"]) > TOLERANCE]
    if not other:
        return None
    return f"the scores of {len(other)} items come out differently: settings of candidates have changed since that night; run `dawnlist recommend` for it again"


def _person(connection: "duckdb.DuckDBPyConnection", settings: "Settings", tables: "Snapshot", listed: str, user: str, run_date: date) -> str:
    """The person of `user` as of the night. An id of the lake is tried first, then the pseudonyms of a raw id, under the key before, too."""
    tried = [user]
    if privacy.has_key(settings):
        key = privacy.load_key(settings)
        keys = [one for one in (key, key.previous) if one]
        tried += [one.pseudonym(source.user_namespace, user) for one in keys for source in sources.of_site(settings)]
    persons = scan(tables.files("persons"), PERSONS)
    for one in tried:
        found = connection.execute(
            f"""SELECT person_id FROM {persons} WHERE alias_id = ? AND person_id IN (SELECT person_id FROM {listed})
            UNION SELECT person_id FROM {listed} WHERE person_id = ?""",
            [one, one],
        ).fetchone()
        if found:
            return str(found[0])
    raise MissingInputError(f"The night of {run_date} has no list of this person. Is the id of another site, or was it first seen later?")


def show(document: Mapping[str, Any]) -> None:
    """Print what `explain` found: one row an item."""
    from rich.table import Table

    table = Table("rank", "item", "score", "proposed by", "what made the score", "rules and draws", "reason", show_lines=True)
    for item in document["items"]:
        table.add_row(*(str(item[name]) for name in ("rank", "item_id", "score")), _proposals(item), _score(item), _touched(item), item["reason"] or "")
    console = wide_console()
    console.print(
        f"{document['person_id']}, night of {document['run_date']}, model {document['model_version']}, which orders by: {document['served']}", markup=False
    )
    console.print(table, markup=False)
    if document["note"]:
        console.print(f"note {document['note']}", markup=False)


def _proposals(item: Mapping[str, Any]) -> str:
    scores = ((one, "" if one["score"] is None else f" ({one['score']:.4g})") for one in item["proposals"])
    return "\n".join(f"{one['source']} #{one['rank']}{score}" for one, score in scores) or item["source"]


def _score(item: Mapping[str, Any]) -> str:
    if item["bias"] is None:
        return ""
    rows = [f"{one['contribution']:+.4f} {one['feature']} = {'unknown' if one['value'] is None else format(one['value'], '.4g')}" for one in item["features"]]
    return "\n".join([*rows, f"{item['other_features']:+.4f} all other features", f"{item['bias']:+.4f} everybody's bias"])


def _touched(item: Mapping[str, Any]) -> str:
    drawn = [] if item["propensity"] is None else [f"drawn by chance, propensity {item['propensity']:.4g}"]
    return "\n".join([*(item["rules"] or ()), *drawn])
