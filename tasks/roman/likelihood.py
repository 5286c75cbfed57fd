"""`python -m tasks.roman.likelihood`."""

from core.cli import main
from tasks.roman import TASK

if __name__ == "__main__":
    raise SystemExit(main("likelihood", TASK))
