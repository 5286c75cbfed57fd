"""`python -m tasks.speech_to_text.likelihood`."""

from core.cli import main
from tasks.speech_to_text import TASK

if __name__ == "__main__":
    raise SystemExit(main("likelihood", TASK))
