"""Measure a model on a benchmark: the protocol, variants, scorers, the runner and its records."""
