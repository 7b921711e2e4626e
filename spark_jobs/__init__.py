"""Spark jobs: pure frame -> frame functions, and a `run` that reads and writes."""
