"""Which version is the champion and which the challenger, and every decision that made them so: one small manifest, replaced in one step.

    <models>/aliases.json    champion, challenger (None where the newest trained version is the champion), history, oldest decision first

A night uses the champion as of its own run date: the decisions of later nights do not touch it, in whatever order nights are run. So the
manifest keeps the decisions, and the aliases follow from them.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

from dawnlist.errors import CorruptedError, RegistryError
from dawnlist.files import write_json
from dawnlist.locks import exclusive

MANIFEST: Final = "aliases.json"
LOCK: Final = ".registry.lock"
WAIT_SECONDS: Final = 60
PROMOTED, KEPT, ROLLED_BACK = "promoted", "kept", "rolled back"
TRAINING, OPERATOR, TRIGGER = "training", "operator", "trigger"


@dataclass(frozen=True)
class Decision:
    """One decision on the champion. `run_date`: from that night on it holds; `version`: what was decided about; `before` and `after`: the champion.

    `action` is PROMOTED (after = version), KEPT (after = before: the challenger was not promoted) or ROLLED_BACK; `by` is TRAINING,
    OPERATOR or TRIGGER (of the rules file); `checks` are the figures that a training decided by.
    """

    run_date: str
    run_id: str
    action: str
    by: str
    version: str
    before: str | None
    after: str | None
    reason: str
    checks: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Aliases:
    """The manifest as it was read. `requests` maps the run date of a night that saw drift to the reason why the next one should train."""

    history: tuple[Decision, ...] = ()
    requests: dict[str, str] = field(default_factory=dict)

    @property
    def champion(self) -> str | None:
        """The version that serves in the newest night."""
        return self.champion_of(date.max)

    @property
    def challenger(self) -> str | None:
        """The newest trained version that was not promoted, if no decision came after it."""
        last = self._last(self.history)
        return last.version if last is not None and last.action == KEPT else None

    def champion_of(self, run_date: date) -> str | None:
        """The version that serves in the night of `run_date`; None where there was none yet."""
        last = self._last(self._until(run_date))
        return None if last is None else last.after

    def incumbent_of(self, run_date: date) -> str | None:
        """The version that a training of `run_date` has to beat: the champion but for what trainings of that night itself decided before."""
        last = self._last([one for one in self._until(run_date) if one.by != TRAINING or one.run_date < run_date.isoformat()])
        return None if last is None else last.after

    def evening_of(self, run_date: date) -> "Aliases":
        """What held when the night of `run_date` began: without what its own training and triggers decided."""
        return Aliases(tuple(one for one in self._until(run_date) if one.by == OPERATOR or one.run_date < run_date.isoformat()))

    def last_fall_back(self) -> date | None:
        """The run date of the newest night in which a trigger took the champion back."""
        days = [one.run_date for one in self.history if one.by == TRIGGER]
        return date.fromisoformat(max(days)) if days else None

    def last_training(self, before: date) -> date | None:
        """The run date of the newest training of a night before `before`."""
        days = [one.run_date for one in self.history if one.by == TRAINING and one.run_date < before.isoformat()]
        return date.fromisoformat(max(days)) if days else None

    def is_rejected(self, version: str) -> bool:
        """Whether somebody, or a trigger, rolled this version back and nobody has promoted it by hand since: trainings do not promote it again."""
        said = [one for one in self.history if one.by != TRAINING and version in (one.before, one.after)]
        return bool(said) and said[-1].action == ROLLED_BACK and said[-1].before == version

    def decision_of(self, run_date: date) -> Decision:
        """The newest decision of a training of the night of `run_date`, which there must be."""
        return [one for one in self.history if one.by == TRAINING and one.run_date == run_date.isoformat()][-1]

    def before(self, version: str) -> str | None:
        """The champion that `version` took the place of, the last time it did."""
        found = [one.before for one in self.history if one.action == PROMOTED and one.after == version != one.before]
        return found[-1] if found else None

    def of(self, version: str) -> Sequence[Decision]:
        """The decisions that this version had a part in, oldest first."""
        return [one for one in self.history if version in (one.version, one.before, one.after)]

    def newest_day(self) -> date | None:
        """The newest night that anything was decided for."""
        return date.fromisoformat(max(one.run_date for one in self.history)) if self.history else None

    def with_(self, decision: Decision) -> "Aliases":
        """With one decision more. The same training, or trigger, of the same night again adds none."""
        if decision.by != OPERATOR:
            same_night = [one for one in self.history if one.run_date == decision.run_date and (decision.by == TRAINING or one.by == TRIGGER)]
            if same_night and replace(same_night[-1], run_id=decision.run_id) == decision:
                return self
        return Aliases((*self.history, decision), self.requests)

    def asking(self, run_date: date, why: str | None) -> "Aliases":
        """With what the night of `run_date` asks for, in the place of what it asked before; None takes that back."""
        others = {day: reason for day, reason in self.requests.items() if day != run_date.isoformat()}
        return Aliases(self.history, others if why is None else {**others, run_date.isoformat(): why})

    def _until(self, run_date: date) -> list[Decision]:
        return [one for one in self.history if one.run_date <= run_date.isoformat()]

    @staticmethod
    def _last(decisions: Sequence[Decision]) -> Decision | None:
        """Of the newest run date the one that was said last."""
        return max(enumerate(decisions), key=lambda pair: (pair[1].run_date, pair[0]), default=(0, None))[1]


def promoted(known: Aliases, version: str, run_date: date, *, run_id: str, reason: str) -> Aliases:
    """With `version` (of `run_date`) made champion by hand, from the newest night on that anything was decided for. Raises RegistryError where it is."""
    if known.champion == version:
        raise RegistryError(f"{version} is the champion already.")
    day = max(known.newest_day() or run_date, run_date).isoformat()
    return known.with_(Decision(day, run_id, PROMOTED, OPERATOR, version, known.champion, version, reason))


def rolled_back(known: Aliases, to: str | None, *, run_id: str, reason: str) -> Aliases:
    """With the champion taken back: `to` is champion again, or, without it, whoever was before. Raises RegistryError where there is nobody to go back to."""
    champion, day = known.champion, known.newest_day()
    if champion is None or day is None:
        raise RegistryError("There is no champion to roll back: the first night that trains makes one.")
    if to == champion:
        raise RegistryError(f"{to} is the champion already: name another version of `dawnlist models list`.")
    target = to or known.before(champion)
    if target is None:
        raise RegistryError(f"{champion} was the first champion: there is none before it. Name a version with --to, or promote one.")
    return known.with_(Decision(day.isoformat(), run_id, ROLLED_BACK, OPERATOR, champion, champion, target, reason))


def read(models: Path) -> Aliases:
    """The manifest below the folder `models`; without one, nothing was decided yet. Raises CorruptedError for a file that is none."""
    path = models / MANIFEST
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return Aliases(tuple(Decision(**one) for one in document["history"]), dict(document["requests"]))
    except FileNotFoundError:
        return Aliases()
    except (ValueError, KeyError, TypeError):
        raise CorruptedError(f"{path} was changed by hand and cannot be read: restore it from a copy, or remove it and open the night again.") from None


def update(models: Path, change: Callable[[Aliases], Aliases]) -> Aliases:
    """Read, `change` and write the manifest under the registry's lock, in one step: a kill leaves the old one or the new one."""
    with exclusive(models / LOCK, wait_seconds=WAIT_SECONDS):
        before = read(models)
        after = change(before)
        if after != before:
            document = {"champion": after.champion, "challenger": after.challenger, "requests": after.requests}
            write_json(models / MANIFEST, document | {"history": [asdict(one) for one in after.history]})
        return after
