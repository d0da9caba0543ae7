"""Benchmarks: `python -m bench.<name>`, each with a fixed seed, floors, and a JSON report.

What fails a run are ratios and counts taken in the same run; times are printed beside their
budgets, because machines are noisy.
"""
