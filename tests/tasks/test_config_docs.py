"""docs/configs.md says what the config classes say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_of_config_keys_is_fresh() -> None:
    command = [sys.executable, "-m", "core.config_docs", "tasks:TASKS"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    page = (ROOT / "docs/configs.md").read_text(encoding="utf-8")
    assert page == made, "make it again: python -m core.config_docs tasks:TASKS > docs/configs.md"
