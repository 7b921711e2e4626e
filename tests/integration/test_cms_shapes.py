"""CMSs with REST shapes of their own, as Directus, Strapi, WordPress and a template have them: small servers that keep entries and answer as those do."""

import base64
import hashlib
import json
import re
import shutil
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from typer.testing import CliRunner

from dawnlist.cli import app
from dawnlist.errors import CorruptedError, DeliveryError, DifferenceError, RefusedDocumentsError, SettingsError
from dawnlist.export import consumers, deliver, presets, reconcile
from dawnlist.settings import PROJECT, Delivery, Settings
from tests import nights
from tests.http_servers import serving
from tests.nights import ANN, BOB
from tests.published import two_bundles

MORNING = datetime(2026, 11, 21, 5, 0)
SHAPES = ("directus", "strapi", "wordpress", "template")
TEMPLATE = """
list: {path: "/documents/{documents}?from={offset}", entries: found, id: name, hash: etag, handle: name}
writes:
  collections: {users: users, items: items, fallbacks: fallbacks, manifest: manifest}
  entry: {name: "{id}", etag: "{hash}", until: "{expires_at}", value: "{document}"}
  create: &put {method: PUT, path: "/documents/{documents}/{id}", body: "{entry}"}
  update: *put
  delete: {method: DELETE, path: "/documents/{documents}/{handle}"}
"""
Answer = tuple[int, Any]


class Cms:
    """Entries by collection and handle. `refuse(entry)`: the CMS cannot use it. `trouble(number of the write)`: `lost` does it and gives no answer."""

    page = 2  # entries that a page has at the most, whatever was asked for

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, Any]] = {}
        self.refuse: Callable[[Any], bool] = lambda _entry: False
        self.trouble: Callable[[int], str | None] = lambda _number: None
        self.writes: list[str] = []
        self.tokens: set[str | None] = set()
        self.numbers = iter(range(1, 10_000))

    def of(self, collection: str) -> dict[str, Any]:
        return self.entries.setdefault(collection, {})

    def pages(self, collection: str, offset: str) -> list[Any]:
        return [self.of(collection)[handle] for handle in sorted(self.of(collection))][int(offset) :][: self.page]


class Directus(Cms):
    """https://directus.io/docs/api/items: a request is done whole or not at all, and a key that is taken is refused."""

    key, document = "id", "document"

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        collection = path.removeprefix("/items/")
        if method == "GET":
            return 200, {"data": [{name: entry[name] for name in query["fields"].split(",")} for entry in self.pages(collection, query["offset"])]}
        if method == "DELETE":
            for key in body:
                self.of(collection).pop(key, None)
            return 204, None
        taken = [entry["id"] in self.of(collection) for entry in body]
        if any(map(self.refuse, body)) or (any(taken) if method == "POST" else not all(taken)):
            return 400, {"errors": [{"message": "invalid", "extensions": {"code": "RECORD_NOT_UNIQUE"}}]}
        for entry in body:
            self.of(collection).setdefault(entry["id"], {}).update(entry)
        return 200, {"data": [{"id": entry["id"]} for entry in body]}


class Strapi(Cms):
    """https://docs.strapi.io/cms/api/rest: one entry a request, by a documentId that Strapi gives; `key` is unique."""

    key, document = "key", "document"

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        collection, _, handle = path.removeprefix("/api/").partition("/")
        there = self.of(collection)
        if method == "GET":
            return 200, {"data": self.pages(collection, query["pagination[start]"]), "meta": {}}
        if method == "DELETE":
            return (204, None) if there.pop(handle, None) else (404, {"data": None, "error": {"status": 404}})
        entry = body["data"]
        if self.refuse(entry) or (method == "POST" and any(one["key"] == entry["key"] for one in there.values())):
            return 400, {"data": None, "error": {"status": 400, "name": "ValidationError", "message": "This attribute must be unique"}}
        if method == "PUT" and handle not in there:
            return 404, {"data": None, "error": {"status": 404}}
        handle = handle or f"doc{next(self.numbers):04d}"
        there[handle] = there.get(handle, {"documentId": handle}) | entry
        return 200, {"data": there[handle]}


class WordPress(Cms):
    """https://developer.wordpress.org/rest-api: batches of at most 25 requests, each with an answer of its own; nothing is unique."""

    key, document = "dawnlist_id", "dawnlist_document"

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        if method == "GET":
            return 200, [{"id": post["id"], "meta": post["meta"]} for post in self.pages(path.removeprefix("/wp-json/wp/v2/"), query["offset"])]
        assert path == "/wp-json/batch/v1"
        assert len(body["requests"]) <= 25
        return 207, {"responses": [dict(zip(("status", "body"), self.one(**request), strict=True)) for request in body["requests"]]}

    def one(self, method: str, path: str, body: Any = None) -> Answer:
        collection, _, number = urlsplit(path).path.removeprefix("/wp/v2/").partition("/")
        there = self.of(collection)
        if number and number not in there:
            return 404, {"code": "rest_post_invalid_id", "message": "Invalid post ID."}
        if method == "DELETE":
            assert "force=true" in path  # else it lies in the trash
            return 200, {"deleted": True, "previous": there.pop(number)}
        if self.refuse(body["meta"]):
            return 400, {"code": "rest_invalid_param", "message": "Invalid parameter(s): meta"}
        number = number or f"{next(self.numbers)}"
        there[number] = {"id": int(number), **body}
        return 200, there[number]


class Documents(Cms):
    """The site of TEMPLATE: documents are put under their names."""

    key, document = "name", "value"

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        _, _, collection, *name = path.split("/")
        if method == "GET":
            return 200, {"found": self.pages(collection, query["from"])}
        if method == "DELETE":
            return (204, None) if self.of(collection).pop(unquote(name[0]), None) else (404, None)
        if self.refuse(body):
            return 422, {"why": "no"}
        assert unquote(name[0]) == body["name"]
        self.of(collection)[body["name"]] = body
        return 200, None


KINDS: dict[str, type[Any]] = {"directus": Directus, "strapi": Strapi, "wordpress": WordPress, "template": Documents}


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def cms(shape: str) -> Iterator[tuple[Any, str]]:
    state, lock = KINDS[shape](), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = urlsplit(self.path)
            with lock:
                state.tokens.add(self.headers["Authorization"])
                query = {name: values[-1] for name, values in parse_qs(url.query).items()}
                status, answer = state.answer(self.command, url.path, query, json.loads(content) if content else None)
                if self.command != "GET":
                    state.writes.append(self.command)
                    if state.trouble(len(state.writes)) == "lost":
                        self.close_connection = True
                        return
            text = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

        def log_message(self, *_arguments: Any) -> None:
            pass

    with serving(Handler) as url:
        yield state, url


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two bundles: Eve is in the first one alone, Ann's document differs."""
    return two_bundles(tmp_path_factory.mktemp("exported") / "site", at=MORNING)


@pytest.fixture
def settings(exported: Path, cms: tuple[Any, str], shape: str, tmp_path: Path) -> Settings:
    shutil.copytree(exported, tmp_path / "site", symlinks=True)
    (tmp_path / "shape.yml").write_text(TEMPLATE)
    template = tmp_path / "shape.yml" if shape == "template" else None
    delivery = Delivery(to=cms[1], preset=shape, template=template, token="me:secret", requests_per_second=10_000, backoff_seconds=0.01, attempts=4)  # type: ignore[arg-type]
    found = nights.settings_in(tmp_path / "site", delivery=delivery)
    consumers.forget(found.exports_dir, "cms")
    return found


def send(settings: Settings) -> list[str]:
    return list(deliver.deliver(settings, now=MORNING))


def ask(settings: Settings, *, is_repair: bool = False) -> list[str]:
    said: list[str] = []
    with suppress(DifferenceError):
        said.extend(reconcile.reconcile(settings, now=MORNING, is_repair=is_repair))
    return said


def shown(state: Any) -> dict[str, list[Any]]:
    """Kind -> the documents that the CMS has of it, in the order of their ids."""
    found: dict[str, list[Any]] = {}
    for collection, entries in state.entries.items():
        kind = next(kind for kind in ("user", "item", "fallback", "manifest") if kind in collection)
        fields = sorted((entry.get("meta", entry) for entry in entries.values()), key=lambda entry: str(entry[state.key]))
        values = [entry[state.document] for entry in fields]
        found[kind] = [json.loads(value) if isinstance(value, str) else value for value in values]
    return found


def bundled(settings: Settings, sequence: int) -> dict[str, list[Any]]:
    folder = settings.exports_dir / f"{sequence:06d}"
    found = {
        kind: [json.loads(line) for path in sorted(folder.glob(f"{kind}s*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines()]
        for kind in ("user", "item", "fallback")
    }
    return found | {"manifest": [json.loads((folder / "manifest.json").read_text(encoding="utf-8"))]}


def older(settings: Settings) -> None:
    """Let the first bundle be the newest one."""
    (settings.exports_dir / "latest").unlink()
    (settings.exports_dir / "latest").symlink_to("000001")


def newer(settings: Settings) -> None:
    (settings.exports_dir / "latest").unlink()
    (settings.exports_dir / "latest").symlink_to("000002")


def test_a_cms_is_brought_from_nothing_to_one_bundle_and_to_the_next(settings: Settings, cms: tuple[Any, str], shape: str) -> None:
    state, url = cms
    older(settings)
    send(settings)
    assert shown(state) == bundled(settings, 1)
    newer(settings)
    assert ask(settings)[0] == "users: 0 missing, 1 surplus, 1 differing, of 2"
    send(settings)
    assert [document["user_id"] for document in shown(state)["user"]] == [ANN, BOB]
    after = bundled(settings, 2)
    assert {kind: [{**one, "expires_at": ""} for one in documents] for kind, documents in shown(state).items()} == {
        kind: [{**one, "expires_at": ""} for one in documents] for kind, documents in after.items()
    }
    assert consumers.read(settings.exports_dir)["cms"].sequence == 2
    n_writes = len(state.writes)
    assert ask(settings, is_repair=True)[-1] == f"{url} shows 000002: nothing to repair."
    assert len(state.writes) == n_writes
    wanted = f"Basic {base64.b64encode(b'me:secret').decode()}" if shape == "wordpress" else "Bearer me:secret"
    assert state.tokens == {wanted}


def test_reconciliation_counts_and_repairs_what_somebody_changed_by_hand(settings: Settings, cms: tuple[Any, str]) -> None:
    state, _ = cms
    send(settings)
    before = shown(state)
    users = next(entries for collection, entries in state.entries.items() if "user" in collection)
    first, second = sorted(users)
    twin = json.loads(json.dumps(users.pop(first)))  # gone
    entry = twin.get("meta", twin)
    entry[state.key] = "stranger"  # and somebody whom no bundle has
    twin.update({name: value for name, value in (("documentId", "zzz"), ("id", 999)) if name in twin and state.key != "id"})
    users["999" if "meta" in twin else "zzz" if "documentId" in twin else "stranger"] = twin
    other = users[second].get("meta", users[second])
    other[next(name for name in other if name.endswith(("hash", "etag")))] = "changed"
    assert ask(settings)[0] == "users: 1 missing, 1 surplus, 1 differing, of 2"
    assert shown(state) != before
    ask(settings, is_repair=True)
    assert shown(state) == before
    assert ask(settings)[0] == "users: 0 missing, 0 surplus, 0 differing, of 2"


def test_refused_documents_are_named_keep_no_other_back_and_come_with_the_next_delivery(settings: Settings, cms: tuple[Any, str]) -> None:
    state, _ = cms
    older(settings)
    state.refuse = lambda entry: entry[state.key] == "pen"
    with pytest.raises(RefusedDocumentsError, match="refused 1 of its documents"):
        send(settings)
    assert [document["item_id"] for document in shown(state)["item"]] == ["blocked", "gone", "lamp", "mug", "rug"]
    (refused,) = json.loads((settings.exports_dir / "deliveries" / "cms.json").read_text(encoding="utf-8"))["refused"]
    assert (refused["documents"], refused["id"], refused["change"]) == ("items", "pen", "create")
    assert refused["status"] in (400, 422)
    newer(settings)
    state.refuse = lambda _entry: False
    send(settings)
    assert "pen" in [document["item_id"] for document in shown(state)["item"]]
    assert json.loads((settings.exports_dir / "deliveries" / "cms.json").read_text(encoding="utf-8"))["refused"] == []


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_an_answer_that_is_lost_doubles_and_loses_nothing(settings: Settings, cms: tuple[Any, str], lost: int) -> None:
    state, _ = cms
    state.trouble = lambda number: "lost" if number == lost else None
    send(settings)
    assert shown(state) == bundled(settings, 2)


def test_a_delivery_that_was_cut_short_is_ended_by_the_next(settings: Settings, cms: tuple[Any, str]) -> None:
    state, _ = cms
    state.trouble = lambda number: "lost" if number >= 3 else None
    with pytest.raises(DeliveryError, match="goes on where it stopped"):
        send(settings.with_(delivery=settings.delivery.model_copy(update={"attempts": 1})))
    assert (shown(state).get("manifest", []), "cms" in consumers.read(settings.exports_dir)) == ([], False)
    state.trouble = lambda _number: None
    send(settings)
    assert shown(state) == bundled(settings, 2)


@pytest.mark.parametrize("shape", ["template"], indirect=True)
def test_ids_in_paths_are_in_no_log_and_no_traceback(settings: Settings, cms: tuple[Any, str], caplog: pytest.LogCaptureFixture) -> None:
    state, _ = cms
    state.trouble = lambda number: "lost" if number < 4 else None  # the first write is Ann's: tried again three times
    with caplog.at_level("DEBUG", logger="dawnlist"):
        send(settings)
    state.trouble = lambda _number: "lost"
    ann = state.of("users").pop(ANN)
    with pytest.raises(DeliveryError) as error:
        ask(settings, is_repair=True)
    assert ann["name"] == ANN
    assert ANN not in caplog.text + "".join(traceback.format_exception(error.value))


def test_entries_without_our_fields_stop_the_delivery_before_anything_is_written(settings: Settings, cms: tuple[Any, str]) -> None:
    state, _ = cms
    send(settings)
    for entries in state.entries.values():
        for entry in entries.values():
            entry.get("meta", entry)[state.key] = ""
    n_writes = len(state.writes)
    with pytest.raises(DeliveryError, match="docs/cms.md for the fields"):
        ask(settings, is_repair=True)
    assert len(state.writes) == n_writes


@pytest.mark.parametrize("shape", ["directus"], indirect=True)
def test_documents_without_hashes_ask_for_a_new_export(settings: Settings) -> None:
    folder = settings.exports_dir / "000002"
    path = folder / "fallbacks.jsonl"
    manifest = json.loads((folder / "manifest.json").read_text())
    path.write_text("".join(json.dumps({k: v for k, v in json.loads(line).items() if k != "hash"}) + "\n" for line in path.read_text().splitlines()))
    for part in manifest["parts"]:
        if part["name"] == path.name:
            part |= {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CorruptedError, match="run `dawnlist export` again"):
        ask(settings)


@pytest.mark.parametrize("shape", ["directus"], indirect=True)
def test_the_command_line_says_and_repairs(settings: Settings, cms: tuple[Any, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAWNLIST_DELIVERY__TO", cms[1])
    monkeypatch.setenv("DAWNLIST_DELIVERY__PRESET", "directus")
    command = ["export", "reconcile", "--home", str(settings.home), "--consumer", "website"]
    said = CliRunner().invoke(app, command)
    assert said.stdout.splitlines()[0] == "users: 2 missing, 0 surplus, 0 differing, of 2"
    assert isinstance(said.exception, DifferenceError)
    assert said.exception.exit_code == 24
    assert CliRunner().invoke(app, [*command, "--repair"], catch_exceptions=False).exit_code == 0
    assert consumers.read(settings.exports_dir)["website"].sequence == 2
    assert shown(cms[0]) == bundled(settings, 2)


# --- the language ---


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("entries: found, ", "", r"shape.yml:2: list: 'entries' is a required property"),
        ("{offset}", "0", r"shape.yml:2: list.path: .*does not match"),
        ("{hash}", "{hsah}", r"shape.yml:5: writes.entry: \{hsah\} is not known there; did you mean hash\?"),
        ("/{handle}", "/{offset}", r"shape.yml:8: writes.delete: \{offset\} is not known there"),
        ("method: PUT", "method: GET", r"shape.yml:6: writes.create.method"),
        ("list:", "lists:", "'list' is a required property"),
    ],
)
def test_a_mistake_in_a_template_is_told_by_line_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "shape.yml"
    path.write_text(TEMPLATE.replace(old, new))
    with pytest.raises(SettingsError, match=message):
        presets.load(Delivery(to="https://cms.example", preset="template", template=path))


def test_a_template_wants_its_preset_and_the_preset_a_template(tmp_path: Path) -> None:
    for delivery in (Delivery(preset="template"), Delivery(template=tmp_path / "shape.yml")):
        with pytest.raises(SettingsError, match="go together"):
            presets.load(delivery)


@pytest.mark.parametrize("name", sorted(path.stem for path in presets.FOLDER.glob("*.yml")))
def test_every_preset_can_be_chosen(name: str) -> None:
    assert (presets.load(Delivery(preset=name)).writes is None) == (name == "contract")  # type: ignore[arg-type]


def test_the_template_of_the_documentation_is_one(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", (PROJECT / "docs" / "cms.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "shape.yml").write_text(example)
    preset = presets.load(Delivery(preset="template", template=tmp_path / "shape.yml"))
    assert (preset.token.header, preset.list.limit, preset.writes and preset.writes.delete.method) == ("X-Api-Key", 100, "DELETE")


def test_holes_keep_the_kind_of_a_value_and_paths_are_quoted() -> None:
    assert presets.fill({"a": "{document}", "b": ["x {id} y"], "c": 1}, {"document": {"n": 2}, "id": "q"}) == {"a": {"n": 2}, "b": ["x q y"], "c": 1}
    assert presets.fill_path("/d/{id}?x={offset}", {"id": "a/b?c d", "offset": 3}) == "/d/a%2Fb%3Fc%20d?x=3"


def test_only_a_cms_can_be_asked(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="https:// address"):
        ask(nights.settings_in(tmp_path, delivery=Delivery(to=str(tmp_path))))
