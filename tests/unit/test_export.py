"""The bundle's documents, parts, schemas and verification, on a night of three people."""

import hashlib
import json
import re
import shutil
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from dawnlist import export, publishing
from dawnlist.cli import app
from dawnlist.duck import connect
from dawnlist.errors import CorruptedError, ExportError, MissingInputError, PublicationError
from dawnlist.export import consumers
from dawnlist.privacy import Key
from dawnlist.settings import PROJECT, Export, Settings
from dawnlist.stages import export as export_stage
from dawnlist.stages import publish
from dawnlist.stages.base import Interval, Night, StageResult
from tests import nights
from tests.nights import ANN, ANNS_PHONE, BOB, EVE, RUN_DATE
from tests.published import NEXT_DATE, answer, item, say

MORNING = datetime(2026, 11, 21, 5, 0)
EXPIRES = "2026-11-24T00:00:00Z"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return nights.settings_in(tmp_path / "site", export=Export(part_rows=2, keep_bundles=2))


def export_night(settings: Settings, *, run_date: date = RUN_DATE, **changes: Any) -> StageResult:
    nights.write(settings, run_date, **changes)
    publish.run(settings, Interval.day(run_date), run_id="run-1", published_at=MORNING)
    return export_stage.run(settings, Interval.day(run_date), run_id="run-1", created_at=MORNING)


def documents(settings: Settings, pattern: str) -> list[Any]:
    return [
        json.loads(line) for path in sorted(export.latest(settings.exports_dir).glob(pattern)) for line in path.read_text(encoding="utf-8").split("\n")[:-1]
    ]


def hash_of(document: dict[str, Any]) -> str:
    """SHA-256 of the document as compact JSON without expires_at and hash: what the contract says."""
    rest = {name: value for name, value in document.items() if name not in ("expires_at", "hash")}
    return hashlib.sha256(json.dumps(rest, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


def test_a_document_per_person_in_the_order_of_the_keys(settings: Settings) -> None:
    export_night(settings)
    ann, bob, eve = documents(settings, "users-*.jsonl")
    assert bob.pop("hash") == hash_of(bob)
    assert bob == {
        "user_id": BOB,
        "aliases": [],
        "segment": "new",
        "tags": [],
        "personalised": True,
        "expires_at": EXPIRES,
        "recommendations": [
            {"item_id": "pen", "rank": 1, "score": 1.0, "source": "als", "reason": "because of pen"},
            {"item_id": "lamp", "rank": 2, "score": 0.5, "source": "als", "reason": "because of lamp"},
        ],
    }
    assert (ann["user_id"], ann["aliases"], [entry["item_id"] for entry in ann["recommendations"]]) == (ANN, [ANNS_PHONE], ["lamp", "mug", "pen"])
    assert ann["tags"] == ["gift giver", "night owl"]
    assert (eve["user_id"], eve["segment"], eve["personalised"]) == (EVE, None, False)


def test_a_document_per_item_also_for_those_that_are_on_no_list(settings: Settings) -> None:
    export_night(settings)
    items = {item["item_id"]: item for item in documents(settings, "items-*.jsonl")}
    assert list(items) == ["blocked", "gone", "lamp", "mug", "pen", "rug"]
    assert {item_id: item["available"] for item_id, item in items.items()} == {
        "blocked": False,
        "gone": False,
        "lamp": True,
        "mug": True,
        "pen": True,
        "rug": True,
    }
    assert items["lamp"]["title"] == "Lamp"
    assert items["lamp"]["similar_items"] == [
        {"item_id": "mug", "rank": 1, "score": 0.8, "source": "item_to_item"},
        {"item_id": "pen", "rank": 2, "score": 0.6, "source": "item_to_item"},
    ]
    assert (items["gone"]["title"], items["rug"]["similar_items"]) == (None, [])


def test_the_fallbacks_have_one_list_per_scope(settings: Settings) -> None:
    export_night(settings)
    found = documents(settings, "fallbacks.jsonl")
    assert [one.pop("hash") for one in found] == [hash_of(one) for one in documents(settings, "fallbacks.jsonl")]
    assert found == [
        {"scope": "country", "scope_value": "DE", "expires_at": EXPIRES, "items": [{"item_id": "pen", "rank": 1, "score": 5.0, "source": "popular_1d"}]},
        {"scope": "global", "scope_value": "", "expires_at": EXPIRES, "items": [{"item_id": "mug", "rank": 1, "score": 7.0, "source": "popular_1d"}]},
    ]


def test_documents_and_manifest_follow_their_schemas(settings: Settings) -> None:
    export_night(settings)
    for name, pattern, number in (("user", "users-*", 3), ("item", "items-*", 6), ("fallback", "fallbacks*", 2), ("manifest", "none", 0)):
        schema = export.schema(name)  # type: ignore[arg-type]
        Draft202012Validator.check_schema(schema)
        found = documents(settings, f"{pattern}.jsonl")
        assert len(found) == number
        assert [fault.message for document in found for fault in Draft202012Validator(schema).iter_errors(document)] == []


def test_parts_are_bounded_and_the_manifest_counts_them(settings: Settings) -> None:
    result = export_night(settings)
    manifest = json.loads((export.latest(settings.exports_dir) / "manifest.json").read_text(encoding="utf-8"))
    assert [(part["name"], part["rows"]) for part in manifest["parts"]] == [
        ("users-00001.jsonl", 2),
        ("users-00002.jsonl", 1),
        ("items-00001.jsonl", 2),
        ("items-00002.jsonl", 2),
        ("items-00003.jsonl", 2),
        ("fallbacks.jsonl", 2),
    ]
    assert manifest["rows"] == {"users": 3, "items": 6, "fallbacks": 2}
    assert {
        name: manifest[name] for name in ("contract_version", "kind", "sequence", "run_date", "run_id", "attempt", "created_at", "expires_at", "model_version")
    } == {
        "contract_version": "1.3",
        "kind": "full",
        "sequence": 1,
        "run_date": "2026-11-20",
        "run_id": "run-1",
        "attempt": 1,
        "created_at": "2026-11-21T05:00:00Z",
        "expires_at": EXPIRES,
        "model_version": "model-1",
    }
    assert manifest["publication"]["sequence"] == 1
    assert (result.rows_out, result.counts["users"], result.counts["parts"]) == (11, 3, 6)


def test_the_same_publication_makes_no_new_bundle(settings: Settings) -> None:
    first = export_night(settings)
    again = export_night(settings)  # published anew, with the same content
    assert (first.metrics, again.metrics) == ({"sequence": 1, "is_new": True}, {"sequence": 1, "is_new": False})
    assert "already has this content" in again.notes[0]
    assert sorted(path.name for path in settings.exports_dir.iterdir()) == [".export.lock", "000001", "hashes", "latest"]


def test_a_changed_list_makes_the_next_bundle_and_the_oldest_is_removed(settings: Settings) -> None:
    for number, name in enumerate(["lamp", "mug", "pen"], start=1):
        assert export_night(settings, lists={ANN: [name]}).metrics["sequence"] == number
    assert sorted(path.name for path in settings.exports_dir.iterdir()) == [".export.lock", "000002", "000003", "hashes", "latest"]
    assert export.latest(settings.exports_dir).name == "000003"
    assert [entry["recommendations"][0]["item_id"] for entry in documents(settings, "users-*.jsonl")] == ["pen"]


def test_a_damaged_newest_bundle_is_made_again(settings: Settings) -> None:
    export_night(settings)
    (settings.exports_dir / "000001" / "fallbacks.jsonl").unlink()
    assert export_night(settings).metrics == {"sequence": 2, "is_new": True}


def test_the_export_holds_the_publication_and_not_what_the_night_has_become(settings: Settings) -> None:
    export_night(settings)
    nights.write(settings, lists={ANN: ["rug"]})  # recommended again, not published
    result = export_stage.run(settings, Interval.day(RUN_DATE), run_id="run-2", created_at=MORNING)
    assert result.metrics["is_new"] is False
    assert [len(entry["recommendations"]) for entry in documents(settings, "users-*.jsonl")] == [3, 2, 1]


def test_only_the_published_day_can_be_exported(settings: Settings) -> None:
    export_night(settings)
    for day in (date(2026, 11, 19), date(2026, 11, 21)):
        nights.write(settings, day)
    with pytest.raises(PublicationError, match="--run-date 2026-11-20"):
        export_stage.run(settings, Interval.day(date(2026, 11, 19)), run_id="run-2", created_at=MORNING)
    with pytest.raises(MissingInputError, match="dawnlist publish --run-date 2026-11-21"):
        export_stage.run(settings, Interval.day(date(2026, 11, 21)), run_id="run-2", created_at=MORNING)
    assert export.latest(settings.exports_dir).name == "000001"
    assert not list(settings.exports_dir.glob(".partial-*"))


def test_a_whole_bundle_passes_verification(settings: Settings) -> None:
    export_night(settings)
    export.verify(export.latest(settings.exports_dir))


DAMAGES = {
    "missing": lambda bundle: (bundle / "users-00002.jsonl").unlink(),
    "bytes .* instead of": lambda bundle: (bundle / "users-00001.jsonl").write_bytes((bundle / "users-00001.jsonl").read_bytes()[:-40]),
    "sha256 .* instead of": lambda bundle: (bundle / "fallbacks.jsonl").write_bytes((bundle / "fallbacks.jsonl").read_bytes().replace(b"mug", b"pug")),
    "has no manifest": lambda bundle: (bundle / "manifest.json").unlink(),
    "is no JSON": lambda bundle: (bundle / "manifest.json").write_text("{"),
    r"\$\.parts\[0\]\.name": lambda bundle: rewrite(bundle, lambda manifest: manifest["parts"][0].update(name="../../secret")),
    "does not follow contract": lambda bundle: rewrite(bundle, lambda manifest: manifest.update(contract_version="2.0")),
    "do not add up": lambda bundle: rewrite(bundle, lambda manifest: manifest["rows"].update(users=4)),
    "rows 3 instead of 2": lambda bundle: rewrite(bundle, lambda manifest: manifest["parts"].append(miscounted(manifest["parts"].pop(0), bundle))),
}


def rewrite(bundle: Path, change: Any) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    change(manifest)
    (bundle / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def miscounted(part: dict[str, Any], bundle: Path) -> dict[str, Any]:
    """`part` with one line more than it says; its size and hash are those of the longer file."""
    from hashlib import sha256

    content = (bundle / part["name"]).read_bytes() + b"{}\n"
    (bundle / part["name"]).write_bytes(content)
    return part | {"bytes": len(content), "sha256": sha256(content).hexdigest()}


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_receiving_side_finds_damage(settings: Settings, damage: str) -> None:
    export_night(settings)
    bundle = export.latest(settings.exports_dir)
    DAMAGES[damage](bundle)
    with pytest.raises(CorruptedError, match=damage):
        export.verify(bundle)


def test_without_a_bundle_the_reader_is_told_what_to_run(settings: Settings) -> None:
    with pytest.raises(MissingInputError, match="dawnlist export"):
        export.latest(settings.exports_dir)


def test_quotes_line_ends_and_other_scripts_survive(settings: Settings) -> None:
    names = ["o'neil", 'say "hi"', "back\\slash", "two\nlines", "tab\there", "bell\x07", "line\u2028separator", "Grüße 🌙", "' OR 1=1; --"]
    items = sorted(([name, "store", name, True, False] for name in names), key=lambda row: row[0])
    export_night(
        settings,
        lists={ANN: names},
        dim_items=items,
        similar_items=[(names[0], 1, names[3], 0.5, "content")],
        popular_items=[("global", "", 1, names[8], 1.0, "x")],
    )
    (ann,) = documents(settings, "users-*.jsonl")
    assert [entry["item_id"] for entry in ann["recommendations"]] == names
    found = {item["item_id"]: item for item in documents(settings, "items-*.jsonl")}
    assert {item_id: item["title"] for item_id, item in found.items()} == {name: name for name in names}
    assert found["o'neil"]["similar_items"][0]["item_id"] == "two\nlines"
    export.verify(export.latest(settings.exports_dir))


def test_the_contract_computes_keys_as_the_pipeline_does() -> None:
    contract = (PROJECT / "docs" / "export-contract.md").read_text(encoding="utf-8")
    recipe = re.search(r"```python\n(.*?)```", contract, re.DOTALL)
    assert recipe
    namespace: dict[str, Any] = {}
    exec(recipe.group(1), namespace)  # the reader's own copy of the recipe
    expected = Key(b"0123456789abcdef").pseudonym("store:", "42")
    assert namespace["user_id"]("0123456789abcdef", "store:", "42") == expected
    assert f"`{expected}`" in contract


def test_the_examples_of_the_contract_follow_the_schemas() -> None:
    contract = (PROJECT / "docs" / "export-contract.md").read_text(encoding="utf-8")
    examples = [json.loads(example) for example in re.findall(r"```json\n(.*?)```", contract, re.DOTALL)]
    for name, example in zip(("user", "item", "fallback"), examples, strict=True):
        assert [fault.message for fault in Draft202012Validator(export.schema(name)).iter_errors(example)] == []  # type: ignore[arg-type]


def acknowledge(settings: Settings, sequence: int, consumer: str = "cms", **options: bool) -> None:
    consumers.acknowledge(settings.exports_dir, consumer, sequence, at=MORNING, **options)


def delta_of(settings: Settings, name: str) -> tuple[list[Any], list[Any]]:
    """The users that a delta brings, by id, and the keys of those it takes away."""
    folder = settings.exports_dir / name
    export.verify(folder)
    brought, taken = (
        [json.loads(line) for path in sorted(folder.glob(pattern)) for line in path.read_text(encoding="utf-8").splitlines()]
        for pattern in ("users-[0-9]*", "users-deleted-*")
    )
    return [document["user_id"] for document in brought], [document["user_id"] for document in taken]


def test_each_consumer_gets_a_delta_from_the_bundle_that_it_has(settings: Settings) -> None:
    export_night(settings)
    acknowledge(settings, 1)
    assert export_night(settings, lists={ANN: ["lamp"], BOB: ["pen", "lamp"], EVE: ["mug"]}).paths[1:] == [str(settings.exports_dir / "000002-from-000001")]
    assert delta_of(settings, "000002-from-000001") == ([ANN], [])
    acknowledge(settings, 2, "app")
    result = export_night(settings, lists={BOB: ["rug"], EVE: ["mug"]})  # the CMS has missed a night
    assert [Path(path).name for path in result.paths] == ["000003", "000003-from-000001", "000003-from-000002"]
    assert delta_of(settings, "000003-from-000001") == delta_of(settings, "000003-from-000002") == ([BOB], [ANN])
    manifest = json.loads((settings.exports_dir / "000003-from-000001" / "manifest.json").read_text(encoding="utf-8"))
    assert {name: manifest[name] for name in ("kind", "sequence", "base_sequence", "rows", "deletes", "totals")} == {
        "kind": "delta",
        "sequence": 3,
        "base_sequence": 1,
        "rows": {"users": 1, "items": 0, "fallbacks": 0},
        "deletes": {"users": 1, "items": 0, "fallbacks": 0},
        "totals": {"users": 2, "items": 6, "fallbacks": 2},
    }


def test_a_bundle_that_is_acknowledged_late_gets_its_delta_from_the_next_export(settings: Settings) -> None:
    export_night(settings)
    export_night(settings, lists={ANN: ["lamp"]})
    acknowledge(settings, 1)
    again = export_stage.run(settings, Interval.day(RUN_DATE), run_id="run-2", created_at=MORNING)
    assert (again.metrics, again.counts["deltas"]) == ({"sequence": 2, "is_new": False}, 1)
    assert delta_of(settings, "000002-from-000001") == ([ANN], [BOB, EVE])


def test_lists_that_are_rolled_back_are_the_next_bundle(settings: Settings) -> None:
    export_night(settings)
    acknowledge(settings, 1)
    export_night(settings, lists={ANN: ["rug"]})
    acknowledge(settings, 2)
    export_night(settings)
    assert delta_of(settings, "000003-from-000002") == ([ANN, BOB, EVE], [])


def test_who_withdraws_is_in_the_very_next_delta_without_segment_and_tags(settings: Settings) -> None:
    export_night(settings)
    acknowledge(settings, 1)
    said = [row for row in nights.tables()["dim_user_segments"][1] if row[0] != ANN]
    export_night(settings, dim_user_segments=said, lists={ANN: ["mug"], BOB: ["pen", "lamp"], EVE: ["mug"]})
    (folder,) = settings.exports_dir.glob("000002-from-*")
    (ann,) = [json.loads(line) for line in (folder / "users-00001.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (ann["user_id"], ann["segment"], ann["tags"], ann["personalised"]) == (ANN, None, [], False)
    assert [entry["item_id"] for entry in ann["recommendations"]] == ["mug"]


def test_a_rollback_and_a_suppression_are_exported_for_the_day_that_failed(settings: Settings) -> None:
    export_night(settings)
    acknowledge(settings, 1)
    export_night(settings, run_date=NEXT_DATE, lists={ANN: ["rug"]})
    acknowledge(settings, 2)
    publishing.rollback(settings, to=1, run_id="back", moment=MORNING)
    back = export_stage.run(settings, Interval.day(NEXT_DATE), run_id="run-3", created_at=MORNING)
    assert (back.metrics["sequence"], back.notes) == (3, [f"the lists of {RUN_DATE} are published, and exported"])
    assert delta_of(settings, "000003-from-000002") == ([ANN, BOB, EVE], [])
    acknowledge(settings, 3)
    say(settings, consents=[answer(ANNS_PHONE, False, MORNING)])
    publishing.suppress_published(settings, run_id="out", moment=MORNING)
    export_stage.run(settings, Interval.day(NEXT_DATE), run_id="run-4", created_at=MORNING)
    (folder,) = settings.exports_dir.glob("000004-from-*")
    (ann,) = [json.loads(line) for line in (folder / "users-00001.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (ann["user_id"], ann["segment"], ann["tags"], ann["personalised"]) == (ANN, None, [], False)


def test_an_item_that_was_blocked_since_the_night_is_unavailable_from_the_suppression_on(settings: Settings) -> None:
    export_night(settings)
    assert {document["item_id"]: document["available"] for document in documents(settings, "items-*.jsonl")}["pen"] is True
    say(settings, items=[item("pen", is_blocked=True), item("rug", MORNING + timedelta(hours=1), is_blocked=True)])
    publishing.suppress_published(settings, run_id="out", moment=MORNING)
    export_stage.run(settings, Interval.day(RUN_DATE), run_id="run-2", created_at=MORNING)
    found = {document["item_id"]: document["available"] for document in documents(settings, "items-*.jsonl")}
    assert found == {"blocked": False, "gone": False, "lamp": True, "mug": True, "pen": False, "rug": True}, "the rug is blocked later than what is published"
    export.verify(export.latest(settings.exports_dir))


def test_an_item_on_a_list_is_available_whatever_came_in_since(settings: Settings) -> None:
    export_night(settings)
    say(settings, items=[item("pen", is_blocked=True)])
    publishing.suppress_published(settings, run_id="out", moment=MORNING)
    say(settings, items=[item("pen", is_blocked=True), item("mug", is_blocked=True)])  # it landed late: the suppression did not know
    export_stage.run(settings, Interval.day(RUN_DATE), run_id="run-2", created_at=MORNING)
    found = {document["item_id"]: document["available"] for document in documents(settings, "items-*.jsonl")}
    assert (found["mug"], found["pen"]) == (True, False)


def test_what_triggers_said_is_among_the_tags_and_the_manifest_lists_it(settings: Settings) -> None:
    said = nights.tables()["dim_user_segments"][1]
    since = (str(RUN_DATE), None, True)
    said += [(ANN, "trigger", "away", "win_back", *since), (ANN, "trigger", "cold", "win_back", *since), (BOB, "trigger", "away", "win_back", *since)]
    nights.write(settings, dim_user_segments=said)
    night = Night.load(settings, RUN_DATE)
    with connect(settings) as connection:
        file = night.tables.write(connection, "rule_firings", "SELECT * FROM (VALUES ('away', 'person'), ('fell', 'site')) AS t(rule, kind)")
        assert file is not None
        night.tables.commit({"rule_firings": [file]}, run_id="test")
    publish.run(settings, Interval.day(RUN_DATE), run_id="run-1", published_at=MORNING)
    export_stage.run(settings, Interval.day(RUN_DATE), run_id="run-1", created_at=MORNING)
    assert [document["tags"] for document in documents(settings, "users-*.jsonl")] == [["gift giver", "night owl", "win_back"], ["win_back"], []]
    manifest = json.loads((export.latest(settings.exports_dir) / "manifest.json").read_text())
    assert manifest["firings"] == [
        {"rule": "away", "kind": "person", "tag": "win_back", "users": 2},
        {"rule": "cold", "kind": "person", "tag": "win_back", "users": 1},
        {"rule": "fell", "kind": "site", "tag": None, "users": None},
    ]
    say(settings, consents=[answer(ANN, False, MORNING)])
    publishing.suppress_published(settings, run_id="out", moment=MORNING)
    export_stage.run(settings, Interval.day(RUN_DATE), run_id="run-2", created_at=MORNING)
    assert documents(settings, "users-*.jsonl")[0]["tags"] == []
    assert [firing["users"] for firing in json.loads((export.latest(settings.exports_dir) / "manifest.json").read_text())["firings"]] == [1, None]


@pytest.mark.parametrize(
    ("bound", "message"),
    [({"max_deleted_users_share": 0.5}, "delete 2 of the 3 users of bundle 000001: 66.7% deleted"), ({"max_changed_users_share": 0.9}, "100.0% changed")],
)
def test_an_export_that_changes_too_many_users_waits_for_a_person(settings: Settings, bound: dict[str, float], message: str) -> None:
    settings = settings.with_(export=Export(churn_min_users=3, **{"max_deleted_users_share": 1, **bound}))
    export_night(settings)
    with pytest.raises(ExportError, match=message):
        export_night(settings, lists={ANN: ["rug"]})
    assert sorted(path.name for path in settings.exports_dir.iterdir()) == [".export.lock", "000001", "hashes", "latest"]
    assert export_stage.run(settings, Interval.day(RUN_DATE), run_id="run-2", created_at=MORNING, accept_churn=True).metrics["sequence"] == 2


def test_a_small_site_is_not_asked(settings: Settings) -> None:
    settings = settings.with_(export=Export(churn_min_users=4, max_deleted_users_share=0))
    export_night(settings)
    assert export_night(settings, lists={ANN: ["rug"]}).metrics["sequence"] == 2


def test_every_format_holds_all_documents_and_is_verified(settings: Settings) -> None:
    settings = settings.with_(export=Export(formats=("jsonl", "parquet", "csv")))
    export_night(settings, dim_items=[("two\nlines", "store", 'say "hi"', True, False), *((item, "store", None, True, False) for item in nights.ITEMS)])
    bundle = export.latest(settings.exports_dir)
    export.verify(bundle)
    with duckdb.connect() as connection:
        users = connection.execute(f"SELECT user_id, recommendations[1].item_id FROM read_parquet('{bundle / 'users-00001.parquet'}')").fetchall()
    assert users == [(ANN, "lamp"), (BOB, "pen"), (EVE, "mug")]
    for form in ("parquet", "csv"):
        miscounted_bundle = settings.exports_dir / form
        shutil.copytree(bundle, miscounted_bundle)
        rewrite(miscounted_bundle, lambda manifest, form=form: next(part for part in manifest["parts"] if part["format"] == form).update(rows=7))
        with pytest.raises(CorruptedError, match=f"{form} differs from its manifest: rows . instead of 7"):
            export.verify(miscounted_bundle)


def test_the_sequence_does_not_fall_behind_what_a_consumer_has(settings: Settings) -> None:
    export_night(settings)
    acknowledge(settings, 1)
    for path in ("000001", "hashes"):
        shutil.rmtree(settings.exports_dir / path)
    assert export_night(settings).metrics["sequence"] == 2


def test_acknowledging_by_the_command_line(settings: Settings) -> None:
    export_night(settings)
    say = CliRunner()
    home = ["--home", str(settings.home)]
    assert "No consumer has acknowledged" in say.invoke(app, ["export", "status", *home]).output
    assert "cms has bundle 000001" in say.invoke(app, ["export", "ack", "1", *home]).output
    export_night(settings, lists={ANN: ["rug"]})
    (standing,) = json.loads(say.invoke(app, ["export", "status", "--json", *home]).output)
    assert (standing["consumer"], standing["acknowledged"], standing["newest"], standing["waiting"]) == ("cms", 1, 2, "000002-from-000001")
    assert say.invoke(app, ["export", "ack", "2", *home]).exit_code == 0
    assert "nothing changed" in say.invoke(app, ["export", "ack", "1", *home]).output
    assert "nothing waits" in say.invoke(app, ["export", "status", *home]).output
    assert isinstance(say.invoke(app, ["export", "ack", "3", *home]).exception, ExportError)
    say.invoke(app, ["export", "forget", "cms", *home])
    assert consumers.read(settings.exports_dir) == {}
