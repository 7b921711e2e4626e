"""Which of tonight's centres are segments that were known before: numbers and labels that last from night to night.

Tonight's centres and the last known ones are put into tonight's scale and assigned to each other one to one, so that the sum of distances is
least (Kuhn 1955, as scipy solves it). Who is too far from every known centre is a new segment with a new number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

DIGITS = 6
FAR: Final = 1e6  # a pair that may not be; above any sum of distances that may


@dataclass(frozen=True)
class Scale:
    """What standardises each feature: mean and deviation of its signed logarithm over the sample."""

    means: tuple[float, ...]
    deviations: tuple[float, ...]

    def scaled(self, centre: Sequence[float]) -> tuple[float, ...]:
        """Standard deviations from the mean, of signed logarithms."""
        return tuple(round((value - mean) / deviation, DIGITS) for value, mean, deviation in zip(centre, self.means, self.deviations, strict=True))

    def unscaled(self, centre: Sequence[float]) -> tuple[float, ...]:
        """Signed logarithms, of standard deviations from the mean: what can be compared between nights."""
        return tuple(round(value * deviation + mean, DIGITS) for value, mean, deviation in zip(centre, self.means, self.deviations, strict=True))


@dataclass(frozen=True)
class Known:
    """A segment of an earlier night. `centre`: signed logarithms of the features; `last_seen`: the last night that had it."""

    number: int
    label: str
    centre: tuple[float, ...]
    last_seen: date


@dataclass(frozen=True)
class Memory:
    """What other nights leave behind. `known`: by the night before. `elsewhere`: segments that the night before does not know, but an earlier run of this
    night or a later night does. `next_number` was never given; `n_segments`: how many the last night had (None: there was none).
    """

    known: tuple[Known, ...] = ()
    elsewhere: tuple[Known, ...] = ()
    next_number: int = 0
    n_segments: int | None = None


def match(centres: Sequence[Sequence[float]], scale: Scale, memory: Memory, *, radius: float) -> list[Known | None]:
    """For each of tonight's `centres` (standardised by `scale`) the known segment that it goes on, or None for a new one.

    `radius`: the largest root mean square difference over the features, in standard deviations, at which two centres are the same segment.
    Segments of the last night and earlier ones count alike: who was away for a while gets the old number back. What is left is looked for
    elsewhere, so that a night that runs again gives the numbers that it gave before.
    """
    found = _nearest(centres, scale, memory.known, radius)
    left = [number for number, known in enumerate(found) if known is None]
    for number, known in zip(left, _nearest([centres[number] for number in left], scale, memory.elsewhere, radius), strict=True):
        found[number] = known
    return found


def _nearest(centres: Sequence[Sequence[float]], scale: Scale, segments: Sequence[Known], radius: float) -> list[Known | None]:
    found: list[Known | None] = [None] * len(centres)
    if not segments or not centres:
        return found
    known = np.array([scale.scaled(segment.centre) for segment in segments])
    distances = np.sqrt(np.mean((np.array(centres)[:, None, :] - known[None, :, :]) ** 2, axis=2)).round(DIGITS)
    allowed = distances <= radius
    for mine, theirs in assign(np.where(allowed, distances, FAR)):
        if allowed[mine, theirs]:
            found[mine] = segments[theirs]
    return found


def assign(costs: np.ndarray) -> list[tuple[int, int]]:
    """The pairs (row, column) of the assignment with the least sum of `costs`, each row and column at most once."""
    from scipy.optimize import linear_sum_assignment

    return [(int(row), int(column)) for row, column in zip(*linear_sum_assignment(costs), strict=True)]


def remember(memory: Memory, tonight: Sequence[Known]) -> list[Known]:
    """The known segments after tonight: tonight's, and those of before that were not there tonight. By number."""
    numbers = {segment.number for segment in tonight}
    return sorted([*tonight, *(segment for segment in memory.known if segment.number not in numbers)], key=lambda segment: segment.number)
