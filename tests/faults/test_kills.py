"""A process that is killed at any moment leaves the old state or the new one, and running it again makes the new one."""

from functools import partial
from pathlib import Path

import pytest

from models import aliases
from models.aliases import PROMOTED, TRAINING, Aliases, Decision
from tests.faults import harness
from tests.faults.harness import Tally
from tests.faults.site import STEPS, Site

SEED = 20_261_121
ALL = 10_000


def kill(site: Site, stage: str, folder: Path, *, n_operations: int, n_moments: int) -> Tally:
    return harness.kill(
        site.stages[stage],
        site.before[stage],
        folder,
        n_operations=n_operations,
        n_moments=n_moments,
        seed=SEED,
        after_kill=partial(site.check, stage),
        after_rerun=partial(site.check_done, stage),
    )


@pytest.mark.parametrize("stage", STEPS)
def test_a_few_kills_corrupt_nothing(site: Site, stage: str, tmp_path: Path) -> None:
    tally = kill(site, stage, tmp_path, n_operations=2, n_moments=1)
    assert tally.found == []
    assert tally.n_kills >= 2


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("stage", STEPS)
def test_hundreds_of_kills_corrupt_nothing(site: Site, stage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before every change of the file system that the stage makes, and at moments within DuckDB's own writing."""
    tally = kill(site, stage, tmp_path, n_operations=ALL, n_moments=60)
    with capsys.disabled():
        print(f"\n{stage}: {tally.n_kills} kills ({', '.join(f'{moment} {n}' for moment, n in sorted(tally.kills.items()))}), {len(tally.found)} failures")
    assert tally.found == []
    assert tally.n_kills >= 60


FIRST = Decision("2026-03-01", "run-1", PROMOTED, TRAINING, "a", None, "a", "")
SECOND = Decision("2026-03-08", "run-2", PROMOTED, TRAINING, "b", "a", "b", "")


def promote_second(home: Path) -> None:
    aliases.update(home, lambda known: known.with_(SECOND))


def check_aliases(allowed: tuple[Aliases, ...], home: Path) -> None:
    assert aliases.read(home) in allowed


def test_a_killed_promotion_leaves_the_old_champion_or_the_new_one(tmp_path: Path) -> None:
    template, old, new = tmp_path / "template", Aliases((FIRST,)), Aliases((FIRST, SECOND))
    aliases.update(template, lambda _: old)
    after_kill, after_rerun = partial(check_aliases, (old, new)), partial(check_aliases, (new,))
    tally = harness.kill(promote_second, template, tmp_path, n_operations=ALL, n_moments=0, seed=SEED, after_kill=after_kill, after_rerun=after_rerun)
    assert tally.found == []
    assert tally.kills["rename"] == 1
