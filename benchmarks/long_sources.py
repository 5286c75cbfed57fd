"""`python -m benchmarks.long_sources`: what reading a long source costs, with all symbols in sight and with near and global ones alone.

One Transformer encoder, the same but for `encoder_window` and `global_symbols`, reads sources of growing length without gradients;
dense and sparse are timed in turns, and medians are compared. Growth is the exponent e of seconds ~ length^e between the
least and the greatest length: 1 is linear, 2 quadratic. Writes benchmarks/results/long_sources.json.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from core.model.config import TransformerConfig
from core.model.transformer import TransformerEncoder
from core.nn.layout import Padded
from core.train.environment import describe

RESULT = Path(__file__).resolve().parent / "results" / "long_sources.json"
LENGTHS = (1024, 2048, 4096, 8192, 16384)
DENSE = TransformerConfig(width=128, heads=4, encoder_layers=2, inner=256, dropout=0.0)


def seconds(encoder: TransformerEncoder, length: int, width: int) -> float:
    """Of one reading of one source."""
    x_BSD = torch.randn(1, length, width, generator=torch.Generator().manual_seed(length))
    layout = Padded(torch.ones(1, length, dtype=torch.bool))
    begun = time.perf_counter()
    with torch.inference_mode():
        encoder(x_BSD, layout)
    return time.perf_counter() - begun


def measure(lengths: Sequence[int], repeats: int, window: int, first: int) -> dict[str, Any]:
    """Medians of both, and how they grow."""
    configs = {"dense": DENSE, "sparse": replace(DENSE, encoder_window=window, global_symbols=first)}
    encoders = {name: TransformerEncoder(cfg).eval() for name, cfg in configs.items()}
    medians: dict[str, list[float]] = {name: [] for name in encoders}
    for length in lengths:
        taken: dict[str, list[float]] = {name: [] for name in encoders}
        for turn in range(repeats + 1):
            for name, encoder in encoders.items():
                spent = seconds(encoder, length, DENSE.width)
                if turn:  # the first warms up
                    taken[name].append(spent)
        for name, found in taken.items():
            medians[name].append(statistics.median(found))
        dense, sparse = (medians[name][-1] for name in ("dense", "sparse"))
        print(f"{length:>8,}  {dense:>9.3f} s  {sparse:>9.3f} s  {dense / sparse:>6.1f} x", flush=True)
    growth = {
        name: math.log(found[-1] / found[0]) / math.log(lengths[-1] / lengths[0]) if len(found) > 1 else None
        for name, found in medians.items()
    }
    return {
        "lengths": list(lengths),
        "seconds": medians,
        "growth": growth,
        "repeats": repeats,
        "window": window,
        "global_symbols": first,
        "model": {name: getattr(DENSE, name) for name in ("width", "heads", "encoder_layers", "inner", "positions")},
        "environment": describe(torch.device("cpu"), "fp32"),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """See the top of the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.long_sources", description=__doc__)
    parser.add_argument(
        "--lengths", type=int, nargs="+", default=list(LENGTHS), help="of the sources, in symbols, rising"
    )
    parser.add_argument("--repeats", type=int, default=3, help="readings of each, of which the median counts")
    parser.add_argument("--window", type=int, default=128, help="symbols to each side that are seen")
    parser.add_argument("--first", type=int, default=16, help="global symbols")
    parser.add_argument("--output", type=Path, default=RESULT, help="where the figures go")
    given = parser.parse_args(argv)
    if sorted(set(given.lengths)) != given.lengths or given.lengths[0] < 1:
        parser.error("--lengths: numbers from 1 on that rise")
    if min(given.repeats, given.window, given.first) < 1:
        parser.error("--repeats, --window and --first are at least 1")
    print(f"{'symbols':>8}  {'dense':>11}  {'sparse':>11}  dense / sparse")
    found = measure(given.lengths, given.repeats, given.window, given.first)
    growth = "  ".join(f"{name} {value:.2f}" for name, value in found["growth"].items() if value is not None)
    print(f"growth: {growth or 'one length has none'}")
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(found, indent=1) + "\n")
    print(f"written to {given.output}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
