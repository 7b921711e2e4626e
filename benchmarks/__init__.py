"""Benchmarks: seconds and memory of whole nights, each beside a named peer measured in the same run.

`make bench` runs all of them, `make bench-NAME` one. A benchmark is a module of this folder with a function
`run(folder: Path) -> Record`; the record is written to var/bench/NAME.json. Nothing here is ever a timed test.
"""
