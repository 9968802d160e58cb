"""Measure a model on a suite: suites, variants, runner, records, metrics, claims, findings."""
