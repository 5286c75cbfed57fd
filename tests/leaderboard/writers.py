"""A process that writes results, to be killed at any moment: python writers.py FOLDER WRITER COUNT. It tells each that is done."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ["OMP_NUM_THREADS"] = "1"

from benchmarks.leaderboard.store import digest_of, write_result

folder, writer, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for number in range(count):
    config = {"writer": writer, "number": number}
    row = {
        **{"kind": "trained", "task": "toy", "system": f"w{writer}n{number}", "budget": "smoke", "seed": 1},
        **{"date": "2026-01-01T00:00:00Z", "split": "test", "data": {"name": "d", "sha256": "0" * 64, "n": 1}},
        **{"primary": "m", "metrics": {"m": {"rows": "x" * 2000}}, "cost": {}, "git": None},
        **{"config": config, "config_sha256": digest_of(config)},
    }
    write_result(row, folder)
    print(number, flush=True)
