"""Deltas: any run of them gives the newest full bundle, on publications that hypothesis makes up; a consumer written here applies them."""

import csv
import json
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from dawnlist import export
from dawnlist.duck import literal
from dawnlist.errors import CorruptedError, ExportError
from dawnlist.export import consumers, delta, documents, parts, shelf
from dawnlist.export.contract import Part
from dawnlist.settings import Export

KEYS = {"users": ("user_id",), "items": ("item_id",), "fallbacks": ("scope", "scope_value")}
Content = dict[tuple[str, tuple[str, ...]], dict[str, Any]]

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=4)
lists = st.lists(texts, min_size=1, max_size=3, unique=True)
states = st.fixed_dictionaries(
    {
        "users": st.dictionaries(st.sampled_from("abcdef").map(lambda digit: digit * 32), lists, max_size=6),
        "items": st.dictionaries(texts, lists, max_size=6),
        "fallbacks": st.dictionaries(st.tuples(st.sampled_from(["country", "device"]), texts), lists, max_size=4),
    }
)


def tables(connection: duckdb.DuckDBPyConnection, state: dict[str, Any], expires_at: str) -> None:
    """The tables of `documents.build`, from a made-up state: each list holds the item ids that the state says."""
    entries = "list_transform({0}, lambda item, place: {{item_id: item, rank: place, score: 0.5::DOUBLE, source: 'x', reason: NULL::VARCHAR}})"
    rows = {
        "users": ("user_id VARCHAR, list VARCHAR[]", [(key, value) for key, value in state["users"].items()]),
        "items": ("item_id VARCHAR, list VARCHAR[]", [(key, value) for key, value in state["items"].items()]),
        "fallbacks": ("scope VARCHAR, scope_value VARCHAR, list VARCHAR[]", [(*key, value) for key, value in state["fallbacks"].items()]),
    }
    queries = {
        "users": f"SELECT user_id, []::VARCHAR[] AS aliases, 'loyal' AS segment, []::VARCHAR[] AS tags, true AS personalised, {entries.format('list')} AS recommendations",
        "items": f"SELECT item_id, item_id AS title, true AS available, {entries.format('list')} AS similar_items",
        "fallbacks": f"SELECT scope, scope_value, {entries.format('list')} AS items",
    }
    for kind, (columns, values) in rows.items():
        connection.execute(f"CREATE TEMP TABLE raw_{kind} ({columns})")
        if values:
            connection.executemany(f"INSERT INTO raw_{kind} VALUES ({', '.join('?' * (columns.count(',') + 1))})", values)
        documents.fill(connection, kind, literal(expires_at), [f"{queries[kind]} FROM raw_{kind}"])  # type: ignore[arg-type]
    documents.view(connection)


def bundles(root: Path, night: int, state: dict[str, Any], bases: list[int], form: Export) -> None:
    """What a night writes: the full bundle and the deltas from `bases`, without manifests, and the hashes."""
    with duckdb.connect() as connection:
        tables(connection, state, f"night {night}")
        write(connection, root, str(night), [(kind, "upsert", kind) for kind in KEYS], form)
        for base in bases:
            delta.compare(connection, shelf.hashes(root, base))
            changes = [(kind, "upsert", delta.changed(kind)) for kind in KEYS] + [(kind, "delete", delta.gone(kind)) for kind in KEYS]  # type: ignore[arg-type]
            write(connection, root, f"{night}-from-{base}", changes, form)
        delta.keep_hashes(connection, shelf.hashes(root, night))


def write(connection: duckdb.DuckDBPyConnection, root: Path, name: str, contents: list[tuple[str, str, str]], form: Export) -> list[Part]:
    (root / name).mkdir(parents=True)
    return [part for kind, change, relation in contents for part in parts.write(connection, root / name, kind, change, relation, form)]  # type: ignore[arg-type]


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    with path.open(encoding="utf-8", newline="") as stream:
        return [{name: from_cell(name, cell) for name, cell in row.items()} for row in csv.DictReader(stream)]


def from_cell(name: str, cell: str) -> Any:
    """The value of a CSV cell, as the contract says."""
    if name in ("aliases", "tags", "recommendations", "similar_items", "items"):
        return json.loads(cell)
    return cell == "true" if name in ("personalised", "available") else cell.removeprefix("'")


def key_of(kind: str, document: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    return kind, tuple(document[name] for name in KEYS[kind])


def contents(folder: Path, form: str, *, is_deleted: bool = False) -> Content:
    found: Content = {}
    for path in sorted(folder.glob(f"*.{form}")):
        if ("-deleted" in path.name) == is_deleted:
            kind = path.name.split("-")[0].split(".")[0]
            for document in read(path):
                assert key_of(kind, document) not in found, "a document comes twice"
                found[key_of(kind, document)] = document
    return found


def applied(before: Content, folder: Path, form: str, expires_at: str) -> Content:
    """Step 4 of "Reading a bundle"."""
    after = {key: document for key, document in before.items() if key not in contents(folder, form, is_deleted=True)} | contents(folder, form)
    return {key: {**document, "expires_at": expires_at} for key, document in after.items()}


@settings(max_examples=15, deadline=None)
@given(nights=st.lists(states, min_size=2, max_size=4), taken=st.data(), form=st.sampled_from(["jsonl", "parquet", "csv"]))
def test_any_run_of_deltas_gives_the_newest_full_bundle(tmp_path_factory: pytest.TempPathFactory, nights: list[Any], taken: st.DataObject, form: Any) -> None:
    root = tmp_path_factory.mktemp("root") / uuid4().hex
    form_of = Export(formats=(form,), part_rows=2)
    for number, state in enumerate(nights, start=1):
        bundles(root, number, state, list(range(1, number)), form_of)
    at = 1
    consumer = contents(root / "1", form)
    assert len(consumer) == sum(len(part) for part in nights[0].values())
    while at < len(nights):
        following = taken.draw(st.integers(at + 1, len(nights)))
        folder = root / f"{following}-from-{at}"
        consumer = applied(applied(consumer, folder, form, f"night {following}"), folder, form, f"night {following}")  # twice is once
        assert consumer == contents(root / str(following), form)
        at = following


def test_damaged_hashes_are_named(tmp_path: Path) -> None:
    shelf.hashes(tmp_path, 1).parent.mkdir()
    shelf.hashes(tmp_path, 1).write_bytes(b"PAR1 cut short")
    with duckdb.connect() as connection:
        tables(connection, state_of({}), "night")
        with pytest.raises(CorruptedError, match=r"000001.parquet cannot be read: .* take the full bundle"):
            delta.compare(connection, shelf.hashes(tmp_path, 1))


def state_of(users: dict[str, list[str]], items: dict[str, list[str]] | None = None) -> dict[str, Any]:
    return {"users": users, "items": items or {}, "fallbacks": {}}


def test_a_delta_has_what_changed_and_nothing_else(tmp_path: Path) -> None:
    bundles(tmp_path, 1, state_of({"a" * 32: ["pen"], "b" * 32: ["mug"], "c" * 32: ["rug"]}), [], Export())
    bundles(tmp_path, 2, state_of({"a" * 32: ["pen"], "b" * 32: ["rug"], "d" * 32: ["mug"]}), [1], Export())
    assert [key for _, (key,) in contents(tmp_path / "2-from-1", "jsonl")] == ["b" * 32, "d" * 32]
    assert read(tmp_path / "2-from-1" / "users-deleted-00001.jsonl") == [{"user_id": "c" * 32}]
    assert sorted(path.name for path in (tmp_path / "2-from-1").iterdir()) == ["users-00001.jsonl", "users-deleted-00001.jsonl"]


def test_a_new_expiry_alone_changes_no_document(tmp_path: Path) -> None:
    state = state_of({"a" * 32: ["pen"]})
    bundles(tmp_path, 1, state, [], Export())
    bundles(tmp_path, 2, state, [1], Export())
    assert list((tmp_path / "2-from-1").iterdir()) == []


def test_churn_counts_the_users_before_and_not_the_items(tmp_path: Path) -> None:
    bundles(tmp_path, 1, state_of({"a" * 32: ["pen"], "b" * 32: ["mug"], "c" * 32: ["rug"]}, {"pen": ["mug"], "mug": ["pen"]}), [], Export())
    with duckdb.connect() as connection:
        tables(connection, state_of({"a" * 32: ["pen"], "b" * 32: ["rug"], "d" * 32: ["mug"], "e" * 32: ["mug"]}), "later")
        delta.compare(connection, shelf.hashes(tmp_path, 1))
        assert delta.churn(connection, shelf.hashes(tmp_path, 1)) == delta.Churn(before=3, changed=1, deleted=1, new=2)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201", "'quoted", '"=1"', "a,b"])
def test_no_cell_of_a_csv_begins_a_formula_and_every_text_comes_back(tmp_path: Path, text: str) -> None:
    bundles(tmp_path, 1, state_of({}, {text: ["pen"]}), [], Export(formats=("csv",)))
    bundles(tmp_path, 2, state_of({}), [1], Export(formats=("csv",)))
    for path in (tmp_path / "1" / "items-00001.csv", tmp_path / "2-from-1" / "items-deleted-00001.csv"):
        with path.open(encoding="utf-8", newline="") as stream:
            cells = [cell for row in csv.reader(stream) for cell in row]
        assert not [cell for cell in cells if cell[0] in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"]
        assert [document["item_id"] for document in read(path)] == [text]


def test_parts_end_after_so_many_documents_or_bytes(tmp_path: Path) -> None:
    users = {digit * 32: ["pen"] for digit in "abcde"}

    def sizes(form: Export) -> list[int]:
        name = uuid4().hex
        with duckdb.connect() as connection:
            tables(connection, state_of(users), "night")
            return [part.rows for part in write(connection, tmp_path, name, [("users", "upsert", "users")], form)]

    with duckdb.connect() as connection:
        tables(connection, state_of(users), "night")
        (size,) = connection.execute("SELECT max(n_bytes) FROM users").fetchone() or (0,)
    assert sizes(Export()) == [5]
    assert sizes(Export(part_rows=2)) == [2, 2, 1]
    assert sizes(Export(part_bytes=2 * size + 1)) == [2, 2, 1]
    assert sizes(Export(part_bytes=1)) == [1, 1, 1, 1, 1]


def stand(root: Path, *numbers: int) -> None:
    """Full bundles without content, the last of which is the newest."""
    for number in numbers:
        shelf.full(root, number).mkdir(parents=True)
        shelf.hashes(root, number).parent.mkdir(exist_ok=True)
        shelf.hashes(root, number).touch()
    shelf.point_at(root, numbers[-1])


MORNING = datetime(2026, 11, 21, 6, 30)


def test_a_consumer_is_told_what_waits_for_it(tmp_path: Path) -> None:
    stand(tmp_path, 1, 2, 3)
    shelf.delta(tmp_path, 3, 1).mkdir()
    for name, sequence in (("app", 1), ("cms", 3), ("mail", 2)):
        consumers.acknowledge(tmp_path, name, sequence, at=MORNING)
    assert [(one.consumer, one.acknowledged, one.newest, one.waiting) for one in consumers.status(tmp_path)] == [
        ("app", 1, 3, "000003-from-000001"),
        ("cms", 3, 3, None),
        ("mail", 2, 3, "000003"),
    ]
    assert consumers.status(tmp_path)[0].acknowledged_at == "2026-11-21T06:30:00Z"


def test_a_late_acknowledgement_changes_nothing_unless_the_consumer_went_back(tmp_path: Path) -> None:
    stand(tmp_path, 1, 2)
    consumers.acknowledge(tmp_path, "cms", 2, at=MORNING)
    assert consumers.acknowledge(tmp_path, "cms", 1, at=MORNING).sequence == 2
    assert consumers.acknowledge(tmp_path, "cms", 1, at=MORNING, went_back=True).sequence == 1
    assert consumers.read(tmp_path)["cms"].sequence == 1


def test_what_never_was_cannot_be_acknowledged(tmp_path: Path) -> None:
    stand(tmp_path, 1)
    for name, sequence, message in (("cms", 2, "no bundle 2 .* newest is 1"), ("../cms", 1, "no name")):
        with pytest.raises(ExportError, match=message):
            consumers.acknowledge(tmp_path, name, sequence, at=MORNING)
    with pytest.raises(ExportError, match="no consumer mail"):
        consumers.forget(tmp_path, "mail")
    assert consumers.read(tmp_path) == {}


def test_hashes_stay_for_whoever_stands_at_an_older_bundle(tmp_path: Path) -> None:
    stand(tmp_path, 1, 2, 3, 4, 5)
    shelf.delta(tmp_path, 3, 2).mkdir()
    shelf.forget_old(tmp_path, keep=2, acknowledged=[2, 5])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000004", "000005", "hashes", "latest"]
    assert sorted(path.stem for path in (tmp_path / "hashes").iterdir()) == ["000002", "000003", "000004", "000005"]
    shelf.forget_old(tmp_path, keep=2, acknowledged=[])
    assert sorted(path.stem for path in (tmp_path / "hashes").iterdir()) == ["000004", "000005"]


def test_the_schema_of_a_manifest_wants_the_base_of_a_delta() -> None:
    Draft202012Validator.check_schema(export.schema("manifest"))
    faults = {fault.message for fault in Draft202012Validator(export.schema("manifest")).iter_errors({"kind": "delta", "parts": []})}
    assert {"'base_sequence' is a required property", "'deletes' is a required property"} <= faults
