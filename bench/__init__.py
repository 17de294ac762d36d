"""Benchmarks: `python -m bench [PART]…` prints one table. Nothing here is a test."""
