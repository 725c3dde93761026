"""Benchmarks: ratios against a floor measured in the same run, never a pass or fail by the clock."""
