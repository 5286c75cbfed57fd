"""`python -m tasks.summarization.compare`."""

from core.cli import main
from tasks.summarization import TASK

if __name__ == "__main__":
    raise SystemExit(main("compare", TASK))
