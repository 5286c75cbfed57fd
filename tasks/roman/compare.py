"""`python -m tasks.roman.compare`."""

from core.cli import main
from tasks.roman import TASK

if __name__ == "__main__":
    raise SystemExit(main("compare", TASK))
