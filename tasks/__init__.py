"""The domains. `TASKS` knows them all, installed plugins included, and imports none until it is asked."""

from pathlib import Path

from core.registry import Registry

TASKS = Registry(Path(__file__).parent, "tasks", "transduce.tasks")
