"""`python -m tasks.protein_alignment.predict`."""

from core.cli import main
from tasks.protein_alignment import TASK

if __name__ == "__main__":
    raise SystemExit(main("predict", TASK))
