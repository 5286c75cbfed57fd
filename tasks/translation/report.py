"""`python -m tasks.translation.report`."""

from core.cli import main
from tasks.translation import TASK

if __name__ == "__main__":
    raise SystemExit(main("report", TASK))
