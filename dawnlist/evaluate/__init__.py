"""`dawnlist evaluate`: learn from one Parquet file, recommend to the users of another, and say how good that is, with intervals.

`prepared` reads and checks the two files, `judge` computes the figures, `run` does the whole and writes it, `show` prints it. docs/evaluation.md has the
definitions.
"""
