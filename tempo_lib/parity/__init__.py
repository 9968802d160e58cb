"""Numerical parity with the recorded release: cases, function tables, and the report of both."""
