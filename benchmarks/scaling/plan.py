"""docs/scaling.md's tables, from one GPU to 512, and the measurement on CPU processes beside what the simulator says of it.

Pure arithmetic: what is assumed stands in this file and on the page, what was measured in benchmarks/results/scaling.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.scaling.simulator import Job, Machine, learning_rate, simulate, steps_needed

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "scaling.md"
RESULTS = ROOT / "benchmarks" / "results" / "scaling"
BEGIN, END = "<!-- plan: python -m benchmarks.scaling plan -->", "<!-- /plan -->"

NODE = Machine("8 GPUs a machine", devices=8, flops=3e14, inside=3.6e11, outside=4.5e10)
"""Assumed: 300 TFLOP/s reached by a device in bf16, 360 GB/s to its neighbour, 45 GB/s of a 400 Gbit/s network for each device."""
DEVICES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
CRITICAL = 500_000
"""Tokens: the batch beyond which twice the tokens save fewer than a third of the steps. Of the order published for translation; measure
yours."""
PEAK, PEAK_AT = 5e-4, 25_000
"""A learning rate that is right for batches of so many tokens."""


@dataclass(frozen=True, slots=True)
class Size:
    """A model: both passes cost six operations a parameter and token, and of a pair of tokens each goes through half of it."""

    name: str
    parameters: int

    def job(self, tokens: int) -> Job:
        return Job(parameters=self.parameters, flops_per_token=6 * self.parameters, tokens=tokens)


BASE, BIG = Size("base", 65_000_000), Size("big", 210_000_000)


def table(names: list[str], rows: list[list[str]]) -> str:
    """In Markdown."""
    head = [f"| {' | '.join(names)} |", "|" + "---:|" * len(names)]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])


def growing(size: Size, tokens: int) -> str:
    """Each device has as many tokens as before: the batch grows with the devices."""
    rows: list[list[str]] = []
    for devices in DEVICES:
        step = simulate(size.job(tokens), NODE, devices)
        sharded = simulate(replace(size.job(tokens), parallel="fsdp"), NODE, devices)
        batch = tokens * devices
        rows.append(
            [
                f"{devices:,}",
                f"{batch:,}",
                f"{learning_rate(PEAK, batch, PEAK_AT):.1e}",
                f"{steps_needed(batch, 1, CRITICAL) / steps_needed(tokens, 1, CRITICAL):.3f}",
                f"{step.volume / 1e6:,.0f}",
                f"{sharded.volume / 1e6:,.0f}",
                f"{1e3 * step.seconds:.1f}",
                f"{100 * step.efficiency:.1f}",
                f"{100 * sharded.efficiency:.1f}",
            ]
        )
    names = ["devices", "batch (tokens)", "learning rate", "steps, of one device's", "MB sent, ddp", "MB sent, fsdp"]
    return table([*names, "ms a step, ddp", "% efficient, ddp", "% efficient, fsdp"], rows)


def same_batch(size: Size, batch: int) -> str:
    """The batch stays as it is: each device has fewer tokens, and less to hide the exchange behind."""
    rows: list[list[str]] = []
    for devices in DEVICES:
        step = simulate(size.job(batch // devices), NODE, devices)
        rows.append(
            [
                f"{devices:,}",
                f"{batch // devices:,}",
                f"{1e3 * step.seconds:.1f}",
                f"{1e3 * step.exposed:.1f}",
                f"{100 * step.efficiency:.1f}",
                f"{step.work * devices / step.seconds:.1f}",
            ]
        )
    return table(
        ["devices", "tokens a device", "ms a step", "of it exchange", "% efficient", "times as fast as one"], rows
    )


def measured(tree: dict[str, Any]) -> str:
    """What processes on one machine took, beside the simulator, which knows the runs with one and two of them."""
    one, two = (tree["processes"][name] for name in ("1", "2"))
    size = tree["parameters"] * 4
    sent = simulate(Job(tree["parameters"], 1.0, 1), machine(1.0, 1.0), 2).volume
    spent = max(two["exchange_cpu_seconds"], 1e-9)
    rate = sent / spent
    rows: list[list[str]] = []
    for name, found in tree["processes"].items():
        step = simulate(Job(tree["parameters"], one["work_cpu_seconds"], 1), machine(1.0, rate), int(name))
        cpu = found["work_cpu_seconds"] + found["exchange_cpu_seconds"]
        said = step.work + step.exposed
        rows.append(
            [
                name,
                f"{1e3 * found['work_cpu_seconds']:.0f}",
                f"{1e3 * found['exchange_cpu_seconds']:.1f}",
                f"{1e3 * cpu:.0f}",
                f"{1e3 * said:.0f}",
                f"{100 * (said / cpu - 1):+.0f} %",
                f"{100 * one['work_cpu_seconds'] / cpu:.0f}",
            ]
        )
    names = ["processes", "ms work", "ms exchange", "ms together", "simulator", "off by", "% efficient"]
    return (
        f"{tree['hardware']}; {tree['parameters']:,} parameters, {size / 1e6:.1f} MB of gradients, {tree['tokens']:,} target tokens"
        f" a process and step, medians of {tree['steps']} steps, one thread a process; processor time of a process, since the machine"
        f" had other work. The exchange with two processes ({rate / 1e6:,.0f} MB sent a second) is what the simulator is told;"
        " the row of four is its prediction.\n\n" + table(names, rows)
    )


def machine(flops: float, rate: float) -> Machine:
    """Processes on the cores of one machine, which compute or exchange."""
    return Machine("cores", 1 << 20, flops, rate, rate, 0.0, 0.0, 0.0, overlaps=False)


def plan() -> str:
    """All between the marks."""
    parts = [
        f"Assumed, not measured here (there was no GPU): each device reaches {NODE.flops / 1e12:.0f} TFLOP/s in bf16, sends"
        f" {NODE.inside / 1e9:.0f} GB/s to its neighbour and"
        f" {NODE.outside / 1e9:.0f} GB/s between machines of {NODE.devices}; steps vary by {100 * NODE.jitter:.0f} %; critical batch"
        f" {CRITICAL:,} tokens; learning rate {PEAK:g} right at {PEAK_AT:,} tokens. Gradients travel in fp32.",
        f"### A model of {BIG.parameters / 1e6:.0f} million parameters, 25,000 tokens a device\n\n"
        + growing(BIG, 25_000),
        f"### The same, always 400,000 tokens\n\n{same_batch(BIG, 400_000)}",
        f"### A model of {BASE.parameters / 1e6:.0f} million parameters, always 400,000 tokens\n\n{same_batch(BASE, 400_000)}",
    ]
    for path in sorted(RESULTS.glob("*.json")):
        tree = json.loads(path.read_text(encoding="utf-8"))
        parts.append(f"### Measured: {path.stem}\n\n{measured(tree)}")
    return "\n\n".join(parts)


def page(text: str) -> str:
    """The page with its tables made anew."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{plan()}\n\n{END}{rest.split(END)[1]}"
