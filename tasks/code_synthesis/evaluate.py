"""`python -m tasks.code_synthesis.evaluate`."""

from core.cli import main
from tasks.code_synthesis import TASK

if __name__ == "__main__":
    raise SystemExit(main("evaluate", TASK))
