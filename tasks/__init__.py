"""The domains. `TASKS` knows them all, installed plugins included, and imports none until it is asked."""

import sys
from importlib.util import find_spec
from pathlib import Path

from core.registry import Registry

missing = [name for name in ("torch", "numpy", "safetensors") if find_spec(name) is None]
if missing and Path(sys.argv[0]).name in ("-m", "transduce"):  # so it is while `python -m` looks for the module
    print(f"error: Transduce needs {' and '.join(missing)}: pip install {' '.join(missing)}", file=sys.stderr)
    raise SystemExit(2)

TASKS = Registry(Path(__file__).parent, "tasks", "transduce.tasks")
