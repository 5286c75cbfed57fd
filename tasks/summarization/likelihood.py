"""`python -m tasks.summarization.likelihood`."""

from core.cli import main
from tasks.summarization import TASK

if __name__ == "__main__":
    raise SystemExit(main("likelihood", TASK))
