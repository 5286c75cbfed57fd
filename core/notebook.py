"""Trained runs in Python and in notebooks."""
