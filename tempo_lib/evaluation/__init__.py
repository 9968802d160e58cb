"""Measure a model on a suite: suites, variants (rows of Table 2), runner, records, metrics."""
