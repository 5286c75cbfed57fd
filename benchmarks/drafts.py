"""`python -m benchmarks.drafts RUN ...`: what copying drafts from the source saves, on trained runs and their own dev records.

Each record is answered by greedy search alone (`one`), by the same with drafts (`drafts`), both one source at a time and in turns, and all
together in batches (`batch`), which drafts cannot be. Outputs of the first two must be equal. Writes benchmarks/results/drafts.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from core.data.split import hashed_share
from core.errors import UserError
from core.run.answering import Answerer
from core.run.folder import existing_run, read_json
from core.run.prepared import read_split
from core.run.stored import load_run
from core.train.environment import describe
from tasks import TASKS

RESULT = Path(__file__).resolve().parent / "results" / "drafts.json"


def measured(folder: Path, count: int, draft: int) -> dict[str, Any]:
    """One run."""
    task = TASKS[str(read_json(existing_run(folder).path / "run.json")["task"])]
    run = load_run(task, existing_run(folder))
    torch.set_num_threads(1)
    answer = Answerer(task, run.config, run.codecs, run.model, run.rule)
    dev = sorted(read_split(task, run.config, "dev").records, key=lambda one: hashed_share(one.key))[:count]
    plain = replace(
        run.config.search, strategy="greedy", n_best=1, beams=1, groups=1, rerank=(), coverage=0.0, ctc_weight=0.0
    )
    ways = {"one": plain, "drafts": replace(plain, draft=draft)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    same = tokens = 0
    for number, record in enumerate([dev[0], *dev]):  # the first warms up
        outputs: list[str] = []
        said = 0
        for name, search in ways.items():
            begun = time.perf_counter()
            (found,) = answer.search([record], settings=search)
            spent = time.perf_counter() - begun
            outputs.append(found.output)
            said = len(found.hypotheses[0].tokens) + 1
            if number:
                seconds[name].append(spent)
        if number:
            same += outputs[0] == outputs[1]
            tokens += said
    begun = time.perf_counter()
    together = answer.search(dev, settings=plain)
    whole = time.perf_counter() - begun
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    return {
        "task": task.name,
        "run": folder.name,
        "records": len(together),
        "tokens": tokens,
        "same": same,
        "median_seconds": medians,
        "total_seconds": {**{name: sum(found) for name, found in seconds.items()}, "batch": whole},
        "gain": medians["one"] / medians["drafts"],
    }


def main(argv: Sequence[str] | None = None) -> int:
    """See the top of the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drafts", description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="trained run folders")
    parser.add_argument("--records", type=int, default=100, help="of each run's dev, by their hashes")
    parser.add_argument("--draft", type=int, default=8, help="tokens guessed ahead")
    parser.add_argument("--output", type=Path, default=RESULT, help="where the figures go")
    given = parser.parse_args(argv)
    if min(given.records, given.draft) < 1:
        parser.error("--records and --draft are at least 1")
    found: list[dict[str, Any]] = []
    print(f"{'task':<22}  {'records':>7}  {'same':>5}  {'one':>9}  {'drafts':>9}  {'gain':>6}  all in batches")
    for folder in given.runs:
        try:
            one = measured(folder, given.records, given.draft)
        except UserError as error:
            print(f"error: {folder}: {error}", file=sys.stderr)
            return error.exit_code
        found.append(one)
        median, total = one["median_seconds"], one["total_seconds"]
        print(
            f"{one['task']:<22}  {one['records']:>7}  {one['same']:>5}  {1e3 * median['one']:>6.1f} ms"
            f"  {1e3 * median['drafts']:>6.1f} ms  {one['gain']:>4.2f} x"
            f"  {1e3 * total['batch'] / one['records']:.1f} ms a record",
            flush=True,
        )
    tree = {"draft": given.draft, "runs": found, "environment": describe(torch.device("cpu"), "fp32")}
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(tree, indent=1) + "\n")
    print(f"written to {given.output}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
