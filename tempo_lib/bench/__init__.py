"""Benchmarks: this kit against a mode of the same program that works as the release does."""
