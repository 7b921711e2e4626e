"""Model versions: named by their content, never half written, never read when changed."""

import json
from datetime import date
from pathlib import Path

import pytest

from dawnlist.errors import CorruptedError, MissingInputError
from models import registry

DAY = date(2026, 3, 1)


def test_a_saved_version_is_read_back_as_it_was(tmp_path: Path) -> None:
    version = registry.save(tmp_path, DAY, {"ranker.txt": "tree\n"}, {"served": "ranker"})
    model = registry.load(tmp_path, version)
    assert (model.version, model.ranker, model.metadata["served"]) == (version, "tree\n", "ranker")
    assert version.startswith("2026-03-01-")
    assert [path.name for path in tmp_path.iterdir()] == [version]


def test_the_same_content_is_the_same_version_and_other_content_another(tmp_path: Path) -> None:
    first = registry.save(tmp_path / "a", DAY, {"ranker.txt": "tree\n"}, {"served": "ranker"})
    assert registry.save(tmp_path / "b", DAY, {"ranker.txt": "tree\n"}, {"served": "ranker"}) == first
    assert registry.save(tmp_path / "b", DAY, {"ranker.txt": "tree 2\n"}, {"served": "ranker"}) != first
    assert registry.save(tmp_path / "b", DAY, {"ranker.txt": "tree\n"}, {"served": "fusion"}) != first


def test_saving_a_version_that_is_there_changes_no_file(tmp_path: Path) -> None:
    version = registry.save(tmp_path, DAY, {"ranker.txt": "tree\n"}, {})
    before = (tmp_path / version / "ranker.txt").stat().st_mtime_ns
    assert registry.save(tmp_path, DAY, {"ranker.txt": "tree\n"}, {}) == version
    assert (tmp_path / version / "ranker.txt").stat().st_mtime_ns == before


def test_a_version_without_a_ranker_has_only_its_metadata(tmp_path: Path) -> None:
    version = registry.save(tmp_path, DAY, {}, {"served": "fusion"})
    assert registry.load(tmp_path, version).ranker is None
    assert [path.name for path in (tmp_path / version).iterdir()] == ["metadata.json"]


@pytest.mark.parametrize("name", ["ranker.txt", "metadata.json"])
def test_a_changed_file_is_refused(tmp_path: Path, name: str) -> None:
    version = registry.save(tmp_path, DAY, {"ranker.txt": "tree 1\n"}, {"trees": 1})
    path = tmp_path / version / name
    path.write_text(path.read_text().replace("1", "2"))
    with pytest.raises(CorruptedError, match=version):
        registry.load(tmp_path, version)


def test_metadata_that_was_changed_together_with_its_hash_is_refused_by_the_name(tmp_path: Path) -> None:
    version = registry.save(tmp_path, DAY, {}, {"served": "fusion"})
    other = registry.save(tmp_path / "other", DAY, {}, {"served": "als"})
    (tmp_path / version / "metadata.json").write_text((tmp_path / "other" / other / "metadata.json").read_text())
    with pytest.raises(CorruptedError):
        registry.load(tmp_path, version)


def test_a_damaged_version_is_written_anew(tmp_path: Path) -> None:
    version = registry.save(tmp_path, DAY, {"ranker.txt": "tree\n"}, {})
    (tmp_path / version / "ranker.txt").unlink()
    assert registry.save(tmp_path, DAY, {"ranker.txt": "tree\n"}, {}) == version
    assert registry.load(tmp_path, version).ranker == "tree\n"


def test_an_unknown_version_names_the_stage_to_run(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="dawnlist train"):
        registry.load(tmp_path, "2026-03-01-000000000000")


def test_the_metadata_holds_the_hash_of_every_file(tmp_path: Path) -> None:
    version = registry.save(tmp_path, DAY, {"ranker.txt": ""}, {})
    files = json.loads((tmp_path / version / "metadata.json").read_text())["files"]
    assert files == {"ranker.txt": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}  # SHA-256 of nothing


def test_a_version_keeps_its_tables_when_the_night_is_gone(tmp_path: Path) -> None:
    factors = tmp_path / "factors.parquet"
    factors.write_bytes(b"factors")
    version = registry.save(tmp_path / "models", DAY, {}, {}, tables={"als_item_factors.parquet": factors})
    factors.unlink()
    assert (tmp_path / "models" / version / "als_item_factors.parquet").read_bytes() == b"factors"
    assert registry.load(tmp_path / "models", version).texts == {}
    assert registry.names(tmp_path / "models") == [version]
