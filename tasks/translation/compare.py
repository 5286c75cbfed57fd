"""`python -m tasks.translation.compare`."""

from core.cli import main
from tasks.translation import TASK

if __name__ == "__main__":
    raise SystemExit(main("compare", TASK))
