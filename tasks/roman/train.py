"""`python -m tasks.roman.train`."""

from core.cli import main
from tasks.roman import TASK

if __name__ == "__main__":
    raise SystemExit(main("train", TASK))
