"""The training set of the recommenders: who had to do with what, how much, and how long before the end of the training time."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Ints = NDArray[np.integer[Any]]
Floats = NDArray[np.floating[Any]]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Events:
    """One row an event. `user` and `item` are numbers below n_users and n_items; `weight` is 0 or more; `age` is days before the end of the
    training time, 0 or more, or None where no times are known. The order of the rows means nothing.
    """

    user: Ints
    item: Ints
    weight: Floats
    age: Floats | None
    n_users: int
    n_items: int

    def __len__(self) -> int:
        """The number of events."""
        return len(self.user)

    @property
    def ages(self) -> Floats:
        """Days before the end of the training time. Raises ValueError where no times are known."""
        if self.age is None:
            raise ValueError("events without times have no ages")
        return self.age

    def only(self, rows: Flags, *, younger_by: float = 0.0) -> "Events":
        """The events that `rows` marks, seen from `younger_by` days earlier."""
        age = None if self.age is None else self.age[rows] - younger_by
        return Events(self.user[rows], self.item[rows], self.weight[rows], age, self.n_users, self.n_items)

    def faded(self, half_life: float | None) -> Floats:
        """One factor an event, 1 for the newest: halved every `half_life` days; 1 throughout where that is None or no times are known."""
        if half_life is None or self.age is None:
            return np.ones(len(self))
        return np.exp2(-self.age / half_life)

    def matrix(self, *, power: float = 1.0, half_life: float | None = None) -> csr_matrix:
        """User by item: the sum of weight^power, faded by `half_life`; float32, columns of each row in order.

        `power` 0 takes every pair as 1 (times the fading of its newest event), however often it came.
        """
        value = self.weight**power * self.faded(half_life) if power else self.faded(half_life)
        summed = csr_matrix((value, (self.user, self.item)), shape=(self.n_users, self.n_items))
        if not power:
            summed.data = self._newest(half_life)
        return summed.astype(np.float32)

    def _newest(self, half_life: float | None) -> Floats:
        """The fading of the newest event of each pair, in the order of the matrix' cells."""
        if half_life is None or self.age is None:
            return np.ones(self.seen.nnz)
        return np.exp2(-self.pair_age.data.astype(np.float64) / half_life)

    @cached_property
    def seen(self) -> csr_matrix:
        """User by item: 1 where there is an event, whatever its weight."""
        matrix = csr_matrix((np.ones(len(self), dtype=np.float32), (self.user, self.item)), shape=(self.n_users, self.n_items))
        matrix.data[:] = 1.0
        return matrix

    @cached_property
    def counts(self) -> csr_matrix:
        """User by item: the number of events, with the cells of `seen`."""
        return csr_matrix((np.ones(len(self), dtype=np.float32), (self.user, self.item)), shape=(self.n_users, self.n_items))

    @cached_property
    def keys(self) -> Ints:
        """The number user * n_items + item of each cell of `seen`, in its order, which is theirs."""
        user = np.repeat(np.arange(self.n_users, dtype=np.int64), np.diff(self.seen.indptr))
        return user * self.n_items + self.seen.indices

    @cached_property
    def pair_age(self) -> csr_matrix:
        """User by item: the age of the newest event in days, with the cells of `seen`; needs times."""
        order = np.lexsort((self.ages, self.item, self.user))
        user, item = self.user[order], self.item[order]
        first = np.r_[True, (user[1:] != user[:-1]) | (item[1:] != item[:-1])] if len(order) else np.zeros(0, dtype=bool)
        found = self.seen.copy()
        found.data = self.ages[order][first]
        return found
