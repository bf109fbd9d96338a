"""Measurements against a baseline of the same run: `python -m benchmarks.<name>`; see README.md."""
