"""Intervals, paired tests and claims on tables of records."""
