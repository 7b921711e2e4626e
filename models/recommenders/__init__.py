"""Recommenders on one machine: pure functions over sparse matrices, without paths, Spark or the clock.

Each is a frozen set of parameters whose `fit(events, seed=…)` gives something with `scores(users)`: `base` has the interface, `events` the training set.
"""
