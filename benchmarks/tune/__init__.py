"""Hyper-parameter search over one config, on Optuna: `python -m benchmarks.tune`."""
