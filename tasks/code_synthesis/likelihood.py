"""`python -m tasks.code_synthesis.likelihood`."""

from core.cli import main
from tasks.code_synthesis import TASK

if __name__ == "__main__":
    raise SystemExit(main("likelihood", TASK))
