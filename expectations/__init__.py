"""One module per guarded table: what its data must fulfil before it may go on, as Great Expectations suites in code.

A module's `suite(scope)` returns the expectations. Each has one of four severities, see `expectations.kinds`: `row` (the rows that
fail go to quarantine), `critical` (the stage stops), `warning` (it is reported) and `notice` (it is kept). The row expectations are
declared in `expectations.rows`; `relations(scope)`, where a module has it, is the SQL of the tables that the suite looks at, the
last one instead of the table of its name.
"""
