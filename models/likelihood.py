"""Maximum likelihood for models with a few positive parameters, on data grouped with counts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    # The logarithms of the parameters -> the mean log-likelihood of a person, and its gradient.
    Objective = Callable[[Floats], tuple[float, Floats]]

# Parameters are looked for between exp(-BOUND) and exp(BOUND), about 1/8000 and 8000, in the scale that the model gives its data. One
# that ends there has no finite maximum: the data show no difference between people in what it describes.
BOUND: Final = 9.0
# A maximum: no relative change of a parameter changes the mean log-likelihood of a person by more than this rate.
FLAT: Final = 1e-5
MAX_ITERATIONS: Final = 500


@dataclass(frozen=True)
class Maximum:
    """Where the search ended. `at_bound` has the positions of the parameters without a finite maximum."""

    parameters: tuple[float, ...]
    is_converged: bool
    at_bound: tuple[int, ...]


def maximise(objective: "Objective", starts: Sequence[Sequence[float]]) -> Maximum:
    """The parameters with the highest likelihood that L-BFGS-B (Byrd, Lu, Nocedal & Zhu 1995) finds from any of `starts`; the first of equals."""
    from scipy.optimize import minimize

    def downhill(logarithms: "Floats") -> tuple[float, "Floats"]:
        value, gradient = objective(logarithms)
        return -value, -gradient

    bounds = [(-BOUND, BOUND)] * len(starts[0])
    options = {"maxiter": MAX_ITERATIONS, "ftol": 1e-15, "gtol": 1e-9}
    found = [minimize(downhill, np.log(start), jac=True, method="L-BFGS-B", bounds=bounds, options=options) for start in starts]
    best: Any = min(found, key=lambda one: round(float(one.fun), 12) if np.isfinite(one.fun) else np.inf)
    at_bound = tuple(int(place) for place in np.flatnonzero(np.abs(best.x) >= BOUND))
    slope = np.where(np.abs(best.x) >= BOUND, 0.0, best.jac)
    is_converged = bool(np.isfinite(best.fun) and np.max(np.abs(slope)) < FLAT)
    return Maximum(tuple(float(value) for value in np.exp(best.x)), is_converged, at_bound)
