"""The simulator against what can be worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from benchmarks.scaling.simulator import Job, Machine, learning_rate, simulate, steps_needed

MACHINE = Machine("m", devices=8, flops=1e14, inside=1e11, outside=1e10, hop_inside=0, hop_outside=0, jitter=0)
JOB = Job(parameters=100_000_000, flops_per_token=6e8, tokens=10_000)


def test_one_device_only_works() -> None:
    step = simulate(JOB, MACHINE, 1)
    assert step.seconds == step.work == pytest.approx(10_000 * 6e8 / 1e14)
    assert (step.efficiency, step.volume) == (1, 0)


def test_a_ring_sends_each_gradient_almost_twice() -> None:
    step = simulate(JOB, MACHINE, 8)
    assert step.volume == pytest.approx(2 * 7 / 8 * 4e8)
    assert step.exchange == pytest.approx(step.volume / 1e11)
    assert step.exposed == 0  # 7 ms hide behind 40 of backward
    sharded = simulate(replace(JOB, parallel="fsdp"), MACHINE, 8)
    assert sharded.volume == pytest.approx(1.5 * step.volume)


def test_between_machines_each_device_sends_its_part() -> None:
    step = simulate(JOB, MACHINE, 16)
    outside = 2 * 1 / 2 * 4e8 / 8
    assert step.exchange == pytest.approx(2 * 7 / 8 * 4e8 / 1e11 + outside / 1e10)


def test_what_does_not_fit_behind_the_backward_pass_shows() -> None:
    small = replace(JOB, tokens=100)
    step = simulate(small, MACHINE, 512)
    assert step.exposed == pytest.approx(step.exchange - 2 / 3 * step.work)
    cores = simulate(small, replace(MACHINE, overlaps=False), 512)
    assert cores.exposed == pytest.approx(cores.exchange)


def test_more_devices_never_make_a_step_shorter() -> None:
    machine = replace(MACHINE, hop_inside=5e-6, hop_outside=2e-5, jitter=0.02)
    seconds = [simulate(JOB, machine, 2**n).seconds for n in range(10)]
    assert seconds == sorted(seconds)
    assert simulate(JOB, machine, 64).waiting == pytest.approx(0.06 * 0.02 * math.sqrt(2 * math.log(64)))


def test_batches_and_rates() -> None:
    assert learning_rate(1e-3, 100_000, 25_000) == pytest.approx(2e-3)
    assert steps_needed(1e6, fewest=1000, critical=1e6) == 2000
