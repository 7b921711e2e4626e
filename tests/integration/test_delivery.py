"""Bundles to a CMS by HTTP, and to folders: a server that fails, delays, throttles and drops, with nothing lost and nothing doubled."""

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import fsspec
import paramiko
import pytest

from dawnlist import export
from dawnlist.errors import CorruptedError, DeliveryError, DifferenceError, ManifestRefusedError, MissingInputError, RefusedDocumentsError, SettingsError
from dawnlist.export import consumers, deliver, reconcile
from dawnlist.settings import Delivery, Settings
from dawnlist.stages import export as export_stage
from dawnlist.stages import publish
from dawnlist.stages.base import Interval
from tests import nights
from tests.http_servers import s3_serving, serving
from tests.nights import ANN, BOB, EVE, RUN_DATE
from tests.published import two_bundles
from tests.sftp_server import PASSWORD, Server, reach, sftp_serving

MORNING = datetime(2026, 11, 21, 5, 0)
KEYS = {"users": ("user_id",), "items": ("item_id",), "fallbacks": ("scope", "scope_value")}


class Cms:
    """What a CMS does by the contract. `trouble(number of the request)` says how that request goes wrong; None: it does not."""

    def __init__(self) -> None:
        self.trouble: Callable[[int], str | None] = lambda _number: None
        self.refuse: Callable[[dict[str, Any]], bool] = lambda _document: False
        self.lock = threading.Lock()
        self.requests: list[dict[str, str]] = []
        self.times: list[float] = []
        self.taken: dict[str, int] = {}  # idempotency key -> how often its work was done
        self.bundle = ""
        self.staged: dict[Any, dict[str, Any] | None] = {}
        self.shown: dict[Any, dict[str, Any]] = {}
        self.sequence: int | None = None

    def listed(self, documents: str, offset: int) -> dict[str, Any]:
        """What it shows of one kind, three at a time."""
        found = sorted((":".join(name[1:]), document["hash"]) for name, document in self.shown.items() if name[0] == documents)
        return {"entries": [{"id": name, "hash": value} for name, value in found[offset : offset + 3]]}

    def handle(self, key: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if key in self.taken:
            return 200, {}
        if body["kind"] == "delta" and body["base_sequence"] != self.sequence:
            return 409, {}
        if body["bundle"] != self.bundle:
            self.bundle, self.staged = body["bundle"], {}
        if "manifest" in body:
            before = {} if body["kind"] == "full" else self.shown
            after = before | self.staged
            self.shown = {name: {**document, "expires_at": body["manifest"]["expires_at"]} for name, document in after.items() if document is not None}
            self.staged, self.sequence = {}, body["sequence"]
        else:
            if any(self.refuse(entry) for entry in body["entries"]):
                return 422, {}
            for entry in body["entries"]:
                name = (body["documents"], *(entry[field] for field in KEYS[body["documents"]]))
                assert name not in self.staged, "a document came twice"
                self.staged[name] = entry if body["change"] == "upsert" else None
        self.taken[key] = self.taken.get(key, 0) + 1
        return 200, {}


@pytest.fixture
def cms() -> Iterator[tuple[Cms, str]]:
    state = Cms()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with state.lock:
                state.requests.append(dict(self.headers))
                state.times.append(time.monotonic())
                trouble = state.trouble(len(state.requests))
                status, answer = (int(trouble), {}) if trouble and trouble.isdigit() else (200, {})
                if trouble != "drop before" and not (trouble and trouble.isdigit()):
                    status, answer = state.handle(self.headers["Idempotency-Key"], body)
            if trouble == "delay":
                time.sleep(0.6)
            if trouble in ("drop before", "drop after"):
                self.close_connection = True
                return
            content = json.dumps(answer).encode()
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", "1")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            content = json.dumps(state.listed(query["documents"][0], int(query["offset"][0]))).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: Any) -> None:
            pass

    with serving(Handler) as url:
        yield state, f"{url}/import"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two bundles; the CMS has the first, and a delta from it waits."""
    return two_bundles(tmp_path_factory.mktemp("exported") / "site", at=MORNING)


@pytest.fixture
def settings(exported: Path, cms: tuple[Cms, str], tmp_path: Path) -> Settings:
    shutil.copytree(exported, tmp_path / "site", symlinks=True)
    return nights.settings_in(tmp_path / "site", delivery=delivery(cms[1]))


def delivery(to: str, **changes: Any) -> Delivery:
    values = {"batch_documents": 1, "requests_per_second": 1000, "backoff_seconds": 0.01, "timeout_seconds": 0.3, "attempts": 6}
    return Delivery(to=to, **(values | changes))


def documents_of(bundle: Path) -> dict[Any, dict[str, Any]]:
    found = {}
    for kind, key in KEYS.items():
        for path in bundle.glob(f"{kind}*.jsonl"):
            for line in path.read_text(encoding="utf-8").splitlines():
                document = json.loads(line)
                found[(kind, *(document[field] for field in key))] = document
    return found


def send(settings: Settings, **options: Any) -> list[str]:
    return list(deliver.deliver(settings, now=MORNING, **options))


def anew(settings: Settings) -> None:
    """Forget what the CMS has: it gets the full bundle."""
    consumers.forget(settings.exports_dir, "cms")


def test_a_full_bundle_and_then_its_delta_give_what_is_published(settings: Settings, cms: tuple[Cms, str]) -> None:
    first = settings.exports_dir / "000001"
    state, _ = cms
    state.shown, state.sequence = documents_of(first), 1
    assert send(settings) == [f"{settings.delivery.to} has 000002-from-000001: 2 documents in 3 requests."]
    assert state.shown == documents_of(settings.exports_dir / "000002")
    assert ("users", EVE) not in state.shown
    assert consumers.read(settings.exports_dir)["cms"].sequence == 2
    assert send(settings) == ["cms has the newest bundle: nothing to send."]


TROUBLES = ["500", "503", "429", "drop before", "drop after", "delay", None, None]


@pytest.mark.parametrize("seed", [1, 2])
def test_trouble_loses_nothing_and_doubles_nothing(settings: Settings, cms: tuple[Cms, str], seed: int) -> None:
    state, _ = cms
    anew(settings)
    chance = random.Random(seed)
    state.trouble = lambda number: None if number % 4 == 0 else chance.choice(TROUBLES)
    send(settings)
    assert state.shown == documents_of(settings.exports_dir / "000002")
    assert set(state.taken.values()) == {1}
    assert len(state.requests) > len(state.taken)


@pytest.mark.parametrize("trouble", ["503", "drop after"])
def test_a_delivery_goes_on_where_it_stopped(settings: Settings, cms: tuple[Cms, str], trouble: str) -> None:
    state, url = cms
    anew(settings)
    settings = settings.with_(delivery=delivery(url, attempts=1))
    state.trouble = lambda number: trouble if number == 4 else None
    with pytest.raises(DeliveryError, match="goes on where it stopped"):
        send(settings)
    assert (state.shown, len(state.requests)) == ({}, 4)
    assert "cms" not in consumers.read(settings.exports_dir)
    n_documents = len(documents_of(settings.exports_dir / "000002"))
    assert send(settings) == [f"{url} has 000002: {n_documents - 3} documents in {n_documents - 3 + 1} requests."]
    assert state.shown == documents_of(settings.exports_dir / "000002")
    assert len({request["Idempotency-Key"] for request in state.requests}) == n_documents + 1 == len(state.taken)


def test_one_refused_document_keeps_no_other_back(settings: Settings, cms: tuple[Cms, str]) -> None:
    state, url = cms
    anew(settings)
    settings = settings.with_(delivery=delivery(url, batch_documents=4))
    state.refuse = lambda document: document.get("item_id") == "pen"
    with pytest.raises(DeliveryError, match=r"refused 1 of its documents: .*cms.json"):
        send(settings)
    assert state.shown == {name: document for name, document in documents_of(settings.exports_dir / "000002").items() if name != ("items", "pen")}
    (refused,) = json.loads((settings.exports_dir / "deliveries" / "cms.json").read_text(encoding="utf-8"))["refused"]
    line = (settings.exports_dir / "000002" / refused["part"]).read_text(encoding="utf-8").splitlines()[refused["line"] - 1]
    assert (json.loads(line)["item_id"], refused["status"]) == ("pen", 422)
    assert send(settings) == ["cms has the newest bundle: nothing to send."]


def test_what_was_refused_comes_again_with_the_next_delta(settings: Settings, cms: tuple[Cms, str]) -> None:
    state, url = cms
    state.shown, state.sequence = documents_of(settings.exports_dir / "000001"), 1
    state.refuse = lambda document: document.get("user_id") in (ANN, EVE)  # Ann is new in it, Eve's key is to go
    with pytest.raises(DeliveryError, match="refused 2 of its documents"):
        send(settings)
    assert ("users", EVE) in state.shown
    state.refuse = lambda _document: False
    nights.write(settings, lists={ANN: ["rug"], BOB: ["mug"]})
    publish.run(settings, Interval.day(RUN_DATE), run_id="run-3", published_at=MORNING)
    said = export_stage.run(settings, Interval.day(RUN_DATE), run_id="run-3", created_at=MORNING).notes
    assert said[0] == f"{url} has 000003-from-000002: 1 documents in 2 requests."  # Bob
    assert (len(said), said[1].endswith(": 2 documents in 3 requests.")) == (2, True)
    assert state.shown == documents_of(settings.exports_dir / "000003")
    assert json.loads((settings.exports_dir / "deliveries" / "cms.json").read_text(encoding="utf-8"))["refused"] == []


@pytest.mark.parametrize("cut", [3, 4, 5])
def test_a_delivery_that_is_cut_short_forgets_nothing_that_was_refused_before(settings: Settings, cms: tuple[Cms, str], cut: int) -> None:
    state, url = cms
    state.shown, state.sequence = documents_of(settings.exports_dir / "000001"), 1
    state.refuse = lambda document: document.get("user_id") == EVE
    with pytest.raises(DeliveryError):
        send(settings)
    state.refuse = lambda _document: False
    nights.write(settings, lists={ANN: ["rug"], BOB: ["mug"]})
    publish.run(settings, Interval.day(RUN_DATE), run_id="run-3", published_at=MORNING)
    export_stage.run(settings.with_(delivery=Delivery()), Interval.day(RUN_DATE), run_id="run-3", created_at=MORNING)
    so_far = len(state.requests)
    state.trouble = lambda number: "500" if number == so_far + cut - 2 else None
    with pytest.raises(DeliveryError, match="goes on where it stopped"):
        send(settings.with_(delivery=delivery(url, attempts=1)))
    send(settings)
    assert state.shown == documents_of(settings.exports_dir / "000003")
    assert ("users", EVE) not in state.shown


def test_a_cms_is_compared_with_what_it_should_show_and_repaired(settings: Settings, cms: tuple[Cms, str]) -> None:
    state, url = cms
    state.shown, state.sequence = documents_of(settings.exports_dir / "000001"), 1
    send(settings)
    del state.shown[("users", ANN)], state.shown[("fallbacks", "country", "DE")]
    state.shown[("items", "stray")] = {"hash": "0" * 64}
    state.shown[("items", "pen")] = {"hash": "1" * 64}
    said = []
    with pytest.raises(DifferenceError, match=r"does not show 000002: `dawnlist export reconcile --repair` sends what differs"):
        said.extend(reconcile.reconcile(settings, now=MORNING))
    assert said == [
        "users: 1 missing, 0 surplus, 0 differing, of 2",
        "items: 0 missing, 1 surplus, 1 differing, of 6",
        "fallbacks: 1 missing, 0 surplus, 0 differing, of 2",
    ]
    said = list(reconcile.reconcile(settings, now=MORNING, is_repair=True))
    assert said[-1].endswith(": 4 documents in 5 requests.")
    assert state.shown == documents_of(settings.exports_dir / "000002")
    n_requests = len(state.requests)
    assert list(reconcile.reconcile(settings, now=MORNING, is_repair=True))[-1] == f"{url} shows 000002: nothing to repair."
    assert len(state.requests) == n_requests


def test_a_cms_that_is_a_bundle_behind_is_repaired_to_the_newest(settings: Settings, cms: tuple[Cms, str]) -> None:
    state, _ = cms
    state.shown, state.sequence = documents_of(settings.exports_dir / "000001"), 1
    del state.shown[("items", "pen")]
    list(reconcile.reconcile(settings, now=MORNING, is_repair=True))
    assert (state.shown, consumers.read(settings.exports_dir)["cms"].sequence) == (documents_of(settings.exports_dir / "000002"), 2)


def test_a_repair_that_was_cut_short_goes_on(settings: Settings, cms: tuple[Cms, str]) -> None:
    state, url = cms
    state.shown, state.sequence = documents_of(settings.exports_dir / "000001"), 1
    send(settings)
    state.shown.clear()
    so_far = len(state.requests)
    state.trouble = lambda number: "500" if number == so_far + 4 else None
    with pytest.raises(DeliveryError):
        list(reconcile.reconcile(settings.with_(delivery=delivery(url, attempts=1)), now=MORNING, is_repair=True))
    assert state.shown == {}
    list(reconcile.reconcile(settings, now=MORNING, is_repair=True))
    assert state.shown == documents_of(settings.exports_dir / "000002")
    assert len({request["Idempotency-Key"] for request in state.requests[so_far:]}) == 10 + 1 == len(state.requests) - so_far - 1


def test_a_cms_that_has_taken_nothing_is_not_repaired_but_delivered_to(settings: Settings) -> None:
    anew(settings)
    with pytest.raises(MissingInputError, match="export deliver"):
        list(reconcile.reconcile(settings, now=MORNING, is_repair=True))


def test_a_cms_without_the_base_gets_the_full_bundle(settings: Settings, cms: tuple[Cms, str]) -> None:
    state, _ = cms
    state.shown, state.sequence = {("items", "old"): {}}, 7
    said = send(settings)
    assert "does not have bundle 000001" in said[0]
    assert state.shown == documents_of(settings.exports_dir / "000002")


def test_a_cms_that_was_restored_gets_the_same_bundle_whole_again(settings: Settings, cms: tuple[Cms, str]) -> None:
    state, url = cms
    state.shown, state.sequence = documents_of(settings.exports_dir / "000001"), 1
    send(settings)
    state.shown, state.sequence = documents_of(settings.exports_dir / "000001"), 1
    consumers.acknowledge(settings.exports_dir, "cms", 1, at=MORNING, went_back=True)
    assert send(settings) == [f"{url} has 000002-from-000001: 2 documents in 3 requests."]
    assert state.shown == documents_of(settings.exports_dir / "000002")


def test_a_refused_manifest_sends_everything_anew(settings: Settings, cms: tuple[Cms, str]) -> None:
    state, _ = cms
    anew(settings)
    n_documents = len(documents_of(settings.exports_dir / "000002"))
    state.trouble = lambda number: "422" if number == n_documents + 1 else None
    with pytest.raises(ManifestRefusedError, match="sent anew"):
        send(settings)
    assert (state.shown, "cms" in consumers.read(settings.exports_dir)) == ({}, False)
    state.bundle, state.staged = "", {}  # it had lost what it was sent
    send(settings)
    assert state.shown == documents_of(settings.exports_dir / "000002")


def test_a_kill_between_the_last_answer_and_the_note_of_it_doubles_nothing(settings: Settings, cms: tuple[Cms, str], monkeypatch: pytest.MonkeyPatch) -> None:
    state, url = cms
    anew(settings)

    def killed(*_arguments: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(consumers, "acknowledge", killed)
        with pytest.raises(KeyboardInterrupt):
            send(settings)
    assert send(settings) == [f"{url} has 000002: 0 documents in 1 requests."]
    assert set(state.taken.values()) == {1}
    assert consumers.read(settings.exports_dir)["cms"].sequence == 2


def test_requests_keep_to_their_rate(settings: Settings, cms: tuple[Cms, str]) -> None:
    state, url = cms
    anew(settings)
    send(settings.with_(delivery=delivery(url, requests_per_second=20, batch_documents=3)))
    assert len(state.times) == 5
    assert state.times[-1] - state.times[0] >= 4 / 20 - 0.02


def test_the_token_goes_to_this_machine_or_over_tls_only(settings: Settings, cms: tuple[Cms, str], monkeypatch: pytest.MonkeyPatch) -> None:
    state, url = cms
    send(settings.with_(delivery=delivery(url, token="a secret")))
    assert {request["Authorization"] for request in state.requests} == {"Bearer a secret"}
    anew(settings)
    with pytest.raises(SettingsError, match="use https://") as error:
        send(settings.with_(delivery=delivery("http://cms.example/import", token="a secret")))
    assert "a secret" not in str(error.value)


def test_a_certificate_that_nobody_signed_is_refused(settings: Settings, cms: tuple[Cms, str]) -> None:
    state, url = cms
    with pytest.raises(DeliveryError, match="cannot be reached"):
        send(settings.with_(delivery=delivery(url.replace("http:", "https:"), attempts=1)))
    assert state.requests == []


def test_no_right_is_no_matter_of_trying_again(settings: Settings, cms: tuple[Cms, str]) -> None:
    state, _ = cms
    state.trouble = lambda _number: "401"
    with pytest.raises(DeliveryError, match="DAWNLIST_DELIVERY__TOKEN"):
        send(settings)
    assert len(state.requests) == 1


def test_a_newer_bundle_takes_the_place_of_one_that_was_cut_short(settings: Settings, cms: tuple[Cms, str]) -> None:
    state, url = cms
    anew(settings)
    state.trouble = lambda number: "500" if number > 3 else None
    with pytest.raises(DeliveryError):
        send(settings.with_(delivery=delivery(url, attempts=2)))
    nights.write(settings, lists={EVE: ["mug"]})
    publish.run(settings, Interval.day(RUN_DATE), run_id="run-2", published_at=MORNING)
    state.trouble = lambda _number: None
    result = export_stage.run(settings, Interval.day(RUN_DATE), run_id="run-2", created_at=MORNING)  # where delivery.to is set, the stage delivers
    assert result.notes == [f"{url} has 000003: 9 documents in 10 requests."]
    assert state.shown == documents_of(settings.exports_dir / "000003")


def test_a_dry_run_sends_nothing(settings: Settings, cms: tuple[Cms, str], tmp_path: Path) -> None:
    state, url = cms
    assert send(settings, is_dry_run=True) == [f"Would post 000002-from-000001 to {url}: 1 users, 0 items, 0 fallbacks, 1 users to delete."]
    assert len(send(settings.with_(delivery=Delivery(to=str(tmp_path / "out"))), is_dry_run=True)) == 2
    assert (state.requests, (tmp_path / "out").exists(), consumers.read(settings.exports_dir)["cms"].sequence) == ([], False, 1)


def test_a_damaged_bundle_is_not_sent(settings: Settings, cms: tuple[Cms, str]) -> None:
    (settings.exports_dir / "000002-from-000001" / "users-00001.jsonl").write_text("{}\n")
    with pytest.raises(CorruptedError):
        send(settings)
    assert cms[0].requests == []


@pytest.mark.parametrize("scheme", ["", "memory://"])
def test_a_folder_or_store_gets_whole_bundles_and_a_second_time_nothing(settings: Settings, tmp_path: Path, scheme: str) -> None:
    to = f"{scheme}{tmp_path / 'out'}"
    settings = settings.with_(delivery=Delivery(to=to))
    assert [line.partition(": ")[0] for line in send(settings)] == [f"{to} has 000002", f"{to} has 000002-from-000001"]
    system, place = fsspec.url_to_fs(to)
    (tmp_path / "back").mkdir()
    for name in ("000002", "000002-from-000001"):
        system.get(f"{place}/{name}/", str(tmp_path / "back" / name) + "/", recursive=True)
        export.verify(tmp_path / "back" / name)
    assert json.loads(system.cat_file(f"{place}/latest.json")) == {"sequence": 2, "bundle": "000002"}
    system.pipe_file(f"{place}/000002/users-00001.jsonl", b"cut sh")
    again = send(settings)
    assert ("1 of 4 files" in again[0], "0 of 3 files" in again[1]) == (True, True)


def test_the_pointer_in_a_folder_is_the_old_one_until_it_is_the_new_one(settings: Settings, tmp_path: Path) -> None:
    settings = settings.with_(delivery=Delivery(to=str(tmp_path / "out")))
    pointer, aside = tmp_path / "out" / "latest.json", tmp_path / "out" / ".latest.json.part"
    aside.mkdir(parents=True)  # it cannot be written
    pointer.write_text("the bundle before")
    with pytest.raises(DeliveryError, match="cannot be written"):
        send(settings)
    assert pointer.read_text() == "the bundle before"
    aside.rmdir()
    send(settings)
    assert json.loads(pointer.read_text())["sequence"] == 2


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with s3_serving() as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        made = boto3.resource("s3").create_bucket(Bucket="bundles")
        yield made
        made.objects.delete()
        made.delete()


def test_an_s3_bucket_gets_whole_bundles_and_what_was_cut_short_again(settings: Settings, bucket: Any, tmp_path: Path) -> None:
    settings = settings.with_(delivery=Delivery(to="s3://bundles/cms"))
    assert send(settings) == [
        "s3://bundles/cms has 000002: 4 of 4 files were sent now.",
        "s3://bundles/cms has 000002-from-000001: 3 of 3 files were sent now.",
    ]
    for found in bucket.objects.filter(Prefix="cms/000002"):
        target = tmp_path / found.key
        target.parent.mkdir(parents=True, exist_ok=True)
        bucket.download_file(found.key, str(target))
    for name in ("000002", "000002-from-000001"):
        export.verify(tmp_path / "cms" / name)
    assert json.loads(bucket.Object("cms/latest.json").get()["Body"].read()) == {"sequence": 2, "bundle": "000002"}
    bucket.put_object(Key="cms/000002/users-00001.jsonl", Body=b"cut sh")
    assert [line.partition(": ")[2] for line in send(settings)] == ["1 of 4 files were sent now.", "0 of 3 files were sent now."]


def test_a_bucket_that_is_not_there_is_said_without_secrets_and_the_bundle_stays(settings: Settings, bucket: Any) -> None:
    settings = settings.with_(delivery=Delivery(to="s3://no-such-bucket/cms"))
    with pytest.raises(DeliveryError, match="s3://no-such-bucket/cms cannot be written") as refused:
        send(settings)
    assert "a-secret" not in str(refused.value)
    export.verify(settings.exports_dir / "000002")
    assert consumers.last_deliveries(settings.exports_dir)["cms"].error == str(refused.value)
    send(settings.with_(delivery=Delivery(to="s3://bundles/cms")))
    assert consumers.last_deliveries(settings.exports_dir)["cms"] == consumers.Delivered("2026-11-21T05:00:00Z", "s3://bundles/cms", 2, None)


@pytest.fixture
def sftp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with sftp_serving(tmp_path / "theirs") as server:
        reach(server, tmp_path / "me", monkeypatch)
        yield server


def known_hosts(tmp_path: Path) -> Path:
    return tmp_path / "me" / ".ssh" / "known_hosts"


def by_sftp(settings: Settings, server: Server) -> Settings:
    return settings.with_(delivery=Delivery(to=server.url))


def there(server: Server) -> dict[str, bytes]:
    root = server.root / "cms"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def bundles_of(settings: Settings) -> dict[str, bytes]:
    """The files of the newest full bundle and of its delta, and the pointer to them."""
    files = [path for folder in ("000002", "000002-from-000001") for path in (settings.exports_dir / folder).iterdir()]
    return {str(path.relative_to(settings.exports_dir)): path.read_bytes() for path in files} | {"latest.json": b'{"sequence": 2, "bundle": "000002"}'}


def test_an_sftp_server_gets_each_manifest_last_then_the_pointer_and_nothing_twice(settings: Settings, sftp: Server) -> None:
    settings = by_sftp(settings, sftp)
    assert send(settings) == [f"{sftp.url} has 000002: 4 of 4 files were sent now.", f"{sftp.url} has 000002-from-000001: 3 of 3 files were sent now."]
    assert there(sftp) == bundles_of(settings)
    renamed = [path for step, path in sftp.steps if step == "rename"]
    assert [renamed[3], *renamed[6:]] == ["cms/000002/manifest.json", "cms/000002-from-000001/manifest.json", "cms/latest.json"]
    assert {path.rpartition("/")[2][0] for step, path in sftp.steps if step == "write"} == {"."}, "a reader could meet half a file"
    sftp.steps.clear()
    assert [line.partition(": ")[2] for line in send(settings)] == ["0 of 4 files were sent now.", "0 of 3 files were sent now."]
    assert sftp.steps == [("write", "cms/.latest.json.part"), ("rename", "cms/latest.json")]
    (sftp.root / "cms" / "000002" / "users-00001.jsonl").write_bytes(b"cut sh")
    assert [line.partition(": ")[2] for line in send(settings)] == ["1 of 4 files were sent now.", "0 of 3 files were sent now."]
    assert there(sftp) == bundles_of(settings)
    assert sftp.all_left(), "a connection was left open"


@pytest.mark.parametrize("write", range(1, 9))
def test_an_sftp_connection_that_breaks_leaves_what_readers_see_and_loses_nothing(settings: Settings, sftp: Server, write: int) -> None:
    settings = by_sftp(settings, sftp)
    (sftp.root / "cms").mkdir()
    (sftp.root / "cms" / "latest.json").write_bytes(b"the bundle before")
    sftp.breaks_at = write
    with pytest.raises(DeliveryError, match=f"{sftp.url} cannot be written"):
        send(settings)
    seen = {name: content for name, content in there(sftp).items() if not name.rpartition("/")[2].startswith(".")}
    assert seen.pop("latest.json") == b"the bundle before"
    assert seen.items() <= bundles_of(settings).items()
    assert len(seen) == write - 1
    sftp.steps.clear()
    send(settings)
    assert there(sftp) == bundles_of(settings)
    assert len([path for step, path in sftp.steps if step == "rename"]) == 8 - (write - 1)


def test_an_sftp_server_that_falls_silent_is_not_waited_for_without_end(settings: Settings, sftp: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = by_sftp(settings, sftp)
    monkeypatch.setattr("dawnlist.sftp.WAIT_SECONDS", 0.5)
    sftp.breaks_at, sftp.is_silent = 3, True
    with pytest.raises(DeliveryError, match="cannot be written"):
        send(settings)
    monkeypatch.setattr("dawnlist.sftp.WAIT_SECONDS", 60)
    assert [line.partition(": ")[2] for line in send(settings)] == ["2 of 4 files were sent now.", "3 of 3 files were sent now."]
    assert there(sftp) == bundles_of(settings)


def test_what_is_no_ssh_server_is_one_sentence(settings: Settings, sftp: Server, cms: tuple[Cms, str]) -> None:
    to = f"sftp://{urlsplit(cms[1]).netloc}/cms"
    sent = deliver_by_command(settings, to)
    assert sent.stderr.split() == f"Error: {to} cannot be written (SSHException). {ADVICE}".split()


def test_an_sftp_server_without_posix_rename_gets_a_new_pointer_too(settings: Settings, sftp: Server) -> None:
    settings = by_sftp(settings, sftp)
    sftp.has_posix_rename = False
    send(settings)
    (sftp.root / "cms" / "latest.json").write_bytes(b"the bundle before")
    send(settings)
    assert there(sftp) == bundles_of(settings)


def test_an_sftp_key_file_serves_where_there_is_no_password(settings: Settings, sftp: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "cms-key"
    sftp.user_key = paramiko.ECDSAKey.generate()
    sftp.user_key.write_private_key_file(str(key))
    monkeypatch.setitem(fsspec.config.conf, "sftp", {"key_filename": str(key)})
    send(by_sftp(settings, sftp))
    assert there(sftp) == bundles_of(settings)


ADVICE = "Check it and the credentials in the environment; then run this again."


def deliver_by_command(settings: Settings, to: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("dawnlist")), "export", "deliver"]
    environment = os.environ | {"DAWNLIST_HOME": str(settings.home), "DAWNLIST_DELIVERY__TO": to} | variables
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_wrong_sftp_password_is_one_sentence_without_it(settings: Settings, sftp: Server) -> None:
    wrong = deliver_by_command(settings, sftp.url, FSSPEC_SFTP_PASSWORD="wrong-word")
    assert wrong.stderr.split() == f"Error: {sftp.url} cannot be written (AuthenticationException). {ADVICE}".split()
    assert (wrong.returncode, wrong.stdout, there(sftp)) == (DeliveryError.exit_code, "", {})
    assert "wrong-word" not in str(consumers.last_deliveries(settings.exports_dir)["cms"])
    assert deliver_by_command(settings, sftp.url, FSSPEC_SFTP_PASSWORD=PASSWORD).returncode == 0
    assert there(sftp) == bundles_of(settings)


def test_a_password_of_digits_is_not_taken_for_a_number(settings: Settings, sftp: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fsspec.config.conf, "sftp", {"password": 81726354})
    with pytest.raises(SettingsError, match="FSSPEC_SFTP_PASSWORD is read as JSON") as refused:
        send(by_sftp(settings, sftp))
    assert "81726354" not in str(refused.value)


@pytest.mark.parametrize("known", ["none", "another"])
def test_a_host_whose_key_is_not_known_gets_nothing(settings: Settings, sftp: Server, tmp_path: Path, known: str) -> None:
    other = paramiko.ECDSAKey.generate()
    known_hosts(tmp_path).write_text(sftp.known.replace(sftp.key.get_base64(), other.get_base64()) if known == "another" else "")
    with pytest.raises(SettingsError, match=f"and ~/.ssh/known_hosts has {known} of it") as refused:
        send(by_sftp(settings, sftp))
    assert sftp.key.fingerprint in str(refused.value)
    assert list(sftp.root.iterdir()) == []
    assert sftp.passwords == []


def test_without_the_package_for_sftp_the_reader_is_told_which(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paramiko", None)
    for module in ("dawnlist.sftp", "fsspec.implementations.sftp"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(SettingsError, match=r"sftp://host/cms needs a Python package that is not installed: .*paramiko"):
        send(settings.with_(delivery=Delivery(to="sftp://host/cms")))


def test_a_consumer_that_is_forgotten_leaves_no_ids_of_documents(settings: Settings, cms: tuple[Cms, str]) -> None:
    state, _ = cms
    anew(settings)
    state.refuse = lambda document: document.get("user_id") == ANN
    with pytest.raises(RefusedDocumentsError):
        send(settings)
    kept = consumers.deliveries(settings.exports_dir)
    assert ANN in (kept / "cms.json").read_text()
    consumers.forget(settings.exports_dir, "cms")
    assert list(kept.iterdir()) == []


def test_without_an_address_the_reader_is_told_which_setting(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="DAWNLIST_DELIVERY__TO"):
        send(settings.with_(delivery=Delivery()))
