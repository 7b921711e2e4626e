"""One module per guarded table: what its data must fulfil before it may go on, as Great Expectations suites in code.

A module's `suite(scope)` returns the expectations. Each has one of three severities, see `expectations.kinds`: `row` (the rows that
fail go to quarantine), `critical` (the stage stops) and `warning` (it is reported). `rows()`, where a module has it, gives the row
expectations alone; `view(scope)`, where a module has it, is the SQL of the relation that the suite looks
at instead of the table of its name.
"""
