"""`python -m tasks.reaction_prediction.likelihood`."""

from core.cli import main
from tasks.reaction_prediction import TASK

if __name__ == "__main__":
    raise SystemExit(main("likelihood", TASK))
