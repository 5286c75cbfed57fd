"""`python -m tasks.protein_alignment.report`."""

from core.cli import main
from tasks.protein_alignment import TASK

if __name__ == "__main__":
    raise SystemExit(main("report", TASK))
