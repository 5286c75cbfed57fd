"""`python -m tasks.speech_to_text.predict`."""

from core.cli import main
from tasks.speech_to_text import TASK

if __name__ == "__main__":
    raise SystemExit(main("predict", TASK))
