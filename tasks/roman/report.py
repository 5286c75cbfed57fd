"""`python -m tasks.roman.report`."""

from core.cli import main
from tasks.roman import TASK

if __name__ == "__main__":
    raise SystemExit(main("report", TASK))
