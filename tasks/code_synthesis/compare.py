"""`python -m tasks.code_synthesis.compare`."""

from core.cli import main
from tasks.code_synthesis import TASK

if __name__ == "__main__":
    raise SystemExit(main("compare", TASK))
