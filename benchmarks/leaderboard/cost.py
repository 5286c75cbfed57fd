"""What a result cost: time, tokens, memory, operations, energy; null where it cannot be read."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.data.split import hashed_share
from core.errors import DataError
from core.record import Record

SAMPLE = 20
"""Records that are decoded one by one: those whose keys have the lowest hashes, after one to warm up."""
METERS = "/sys/class/powercap/intel-rapl:?/energy_uj"
NOTES = {
    "training_minutes": "optimiser steps and their data, without evaluations",
    "training_cpu_minutes": "processor time from the beginning of training to its end, scores on dev included: other work on"
    " the machine adds little to it; not known where a training was broken off and resumed",
    "decode_cpu_seconds": "the same, of the answers to all test records",
    "tokens": "target tokens: mean logged rate x training seconds",
    "flops": "6 x parameters x target tokens (Kaplan et al., 2020); attention's own products are not counted",
    "decode_p50_ms": f"of {SAMPLE} test records answered one by one with the run's own search",
    "peak_memory_mib": "resident, of the process that trains and answers; of a GPU its allocated peak besides",
    "energy_joules": "of the whole package during the cell, by RAPL",
}
MEASURES = (
    *("training_minutes", "steps", "tokens", "tokens_per_second", "parameters", "flops"),
    *("training_cpu_minutes", "decode_cpu_seconds"),
    *("decode_seconds", "decode_p50_ms", "decode_p95_ms", "peak_memory_mib", "gpu_memory_mib", "energy_joules"),
)
EMPTY: dict[str, Any] = dict.fromkeys(MEASURES)


def training_cost(folder: Path) -> dict[str, Any]:
    """Of a finished run, from its own files."""
    try:
        facts, metrics = (json.loads((folder / name).read_text()) for name in ("run.json", "metrics.json"))
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: not a finished run: {error}") from None
    rates = [line["tokens_per_second"] for line in lines if line["event"] == "train"]
    rate = len(rates) / sum(1 / one for one in rates) if rates and all(rates) else None
    tokens = None if rate is None else round(rate * 60 * metrics["minutes"])
    return {
        "training_minutes": metrics["minutes"],
        "steps": metrics["step"],
        "tokens": tokens,
        "tokens_per_second": rate,
        "parameters": facts["parameters"],
        "flops": None if tokens is None else 6.0 * facts["parameters"] * tokens,
    }


def latency(answer: Callable[[Sequence[Record]], Any], records: Sequence[Record]) -> dict[str, float]:
    """Milliseconds a record that comes alone."""
    sample = sorted(records, key=lambda one: hashed_share(one.key))[:SAMPLE]
    answer(sample[:1])
    took: list[float] = []
    for record in sample:
        begun = time.perf_counter()
        answer([record])
        took.append(1000 * (time.perf_counter() - begun))
    p50, p95 = np.percentile(took, [50, 95])
    return {"decode_p50_ms": float(p50), "decode_p95_ms": float(p95)}


def peak_memory() -> dict[str, float | None]:
    """MiB of this process so far."""
    import torch

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    on_gpu = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else None
    return {"peak_memory_mib": used, "gpu_memory_mib": on_gpu}


class EnergyMeter:
    """Joules since it was made, where the processor counts them and lets us read."""

    def __init__(self, pattern: str = METERS) -> None:
        self.paths = sorted(Path("/").glob(pattern.lstrip("/")))
        self.begun = self.read()

    def read(self) -> list[int] | None:
        """Microjoules of each package; None where there is no meter."""
        try:
            return [int(path.read_text()) for path in self.paths] or None
        except (OSError, ValueError):
            return None

    def joules(self) -> float | None:
        """None too where a counter has wrapped around in between."""
        now = self.read()
        if now is None or self.begun is None or any(new < old for new, old in zip(now, self.begun, strict=True)):
            return None
        return sum(new - old for new, old in zip(now, self.begun, strict=True)) / 1e6
