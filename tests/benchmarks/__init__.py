"""Benchmarks of the screener: `python -m tests.benchmarks` (not collected by pytest)."""
