"""A step of synchronous data-parallel training on paper: how long it takes on so many devices, and what share of that is work.

    step = work + exposed exchange + latency + waiting for the slowest

* work: tokens of one device times FLOPs a token, over the rate that the device reaches. One device's rate is measured, not assumed.
* exchange: gradients by a ring inside a machine and by rings between machines, each device's own link carrying its part of what the
  machine has summed. DistributedDataParallel sends each gradient twice around (reduce-scatter, all-gather); fully sharded parameters
  are gathered twice, before the forward and the backward pass, and gradients reduce-scattered once: 3 passes in place of 2.
* exposed: what does not fit behind the backward pass, which is two thirds of the work.
* latency: hops of the ring at the time that an empty message takes, for each bucket of gradients.
* waiting: with steps that vary by a share s, the slowest of N takes about s * sqrt(2 ln N) longer (the expected greatest of N
  normal draws is at most that).

All of it is arithmetic; what is measured is named in docs/scaling.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

BACKWARD = 2 / 3
"""Of a step's work."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Devices of a kind in machines of a kind."""

    name: str
    devices: int
    """In one machine."""
    flops: float
    """Reached by one device on this model, a second."""
    inside: float
    """Bytes a second that one device sends to its neighbour in the machine."""
    outside: float
    """Bytes a second that one device sends to another machine."""
    hop_inside: float = 5e-6
    """Seconds that an empty message takes."""
    hop_outside: float = 2e-5
    jitter: float = 0.02
    """Standard deviation of a step's work, as a share of it."""
    overlaps: bool = True
    """Whether devices compute while they exchange: GPUs do, the cores of a CPU are needed for both."""


@dataclass(frozen=True, slots=True)
class Job:
    """A model and how it is trained."""

    parameters: int
    flops_per_token: float
    """Forward and backward, of one target token with its source."""
    tokens: int
    """Of one device in one step."""
    bytes_per_gradient: int = 4
    buckets_mib: float = 25.0
    parallel: Literal["ddp", "fsdp"] = "ddp"


@dataclass(frozen=True, slots=True)
class Step:
    """Seconds, of one device."""

    devices: int
    work: float
    exchange: float
    exposed: float
    latency: float
    waiting: float
    volume: float
    """Bytes that one device sends."""

    @property
    def seconds(self) -> float:
        return self.work + self.exposed + self.latency + self.waiting

    @property
    def efficiency(self) -> float:
        """Of so many devices that never wait."""
        return self.work / self.seconds


def simulate(job: Job, machine: Machine, devices: int) -> Step:
    """One step on `devices` devices, filling one machine after the other."""
    near = min(devices, machine.devices)
    far = math.ceil(devices / machine.devices)
    passes = 2 if job.parallel == "ddp" else 3
    size = job.parameters * job.bytes_per_gradient
    sent_inside = passes * (near - 1) / near * size
    sent_outside = passes * (far - 1) / far * size / near
    exchange = sent_inside / machine.inside + sent_outside / machine.outside
    work = job.tokens * job.flops_per_token / machine.flops
    hidden = BACKWARD * work if machine.overlaps else 0.0
    buckets = max(1, math.ceil(size / (job.buckets_mib * 2**20)))
    hops = passes * ((near - 1) * machine.hop_inside + (far - 1) * machine.hop_outside)
    latency = hops * (buckets if not machine.overlaps else 1)  # all but the last bucket's hide as well
    waiting = work * machine.jitter * math.sqrt(2 * math.log(devices)) if devices > 1 else 0.0
    exposed = max(0.0, exchange - hidden)
    return Step(devices, work, exchange, exposed, latency, waiting, sent_inside + sent_outside)


def learning_rate(peak: float, tokens: float, measured_at: float) -> float:
    """For Adam: by the square root of the batch (Malladi et al., 2022), from where it was found to be right."""
    return peak * math.sqrt(tokens / measured_at)


def steps_needed(tokens: float, fewest: float, critical: float) -> float:
    """Steps to the same loss with batches of so many tokens: fewest * (1 + critical / tokens) (McCandlish et al., 2018)."""
    return fewest * (1 + critical / tokens)
