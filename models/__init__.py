"""Training frame, ranker, policies, evaluation and registry. No Spark, no paths of its own: functions take a DuckDB connection and file lists."""
