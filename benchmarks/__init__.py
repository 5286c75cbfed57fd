"""Comparisons across tasks and systems. May import tasks and core; nothing imports it."""
