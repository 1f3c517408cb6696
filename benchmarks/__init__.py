"""Figures, as ratios measured in one run. `python -m benchmarks.NAME`; nothing here is a test."""
