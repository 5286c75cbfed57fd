"""`python -m tasks.reaction_prediction.compare`."""

from core.cli import main
from tasks.reaction_prediction import TASK

if __name__ == "__main__":
    raise SystemExit(main("compare", TASK))
