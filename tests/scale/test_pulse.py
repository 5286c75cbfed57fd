"""Who stands still is named, and nobody else is."""

from __future__ import annotations

import pytest

from core.train.pulse import Pulse


class Shared:
    """A store in one process."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def set(self, key: str, value: str) -> None:
        self.held[key] = value.encode()

    def get(self, key: str) -> bytes:
        return self.held[key]

    def check(self, keys: list[str]) -> bool:
        return all(key in self.held for key in keys)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def three() -> tuple[Clock, list[Pulse]]:
    clock, store = Clock(), Shared()
    pulses = [Pulse(store, rank, 3, name=f"host {rank}", patience=10, clock=clock) for rank in range(3)]
    for pulse in pulses:
        pulse.stand(may=False)
    return clock, pulses


def passes(clock: Clock, pulses: list[Pulse], seconds: int, *, silent: tuple[int, ...] = ()) -> None:
    for _ in range(seconds):
        clock.now += 1
        for pulse in pulses:
            if pulse.rank not in silent:
                pulse.tell()
        for pulse in pulses:
            pulse.look()


def test_nobody_is_named_while_all_move() -> None:
    clock, pulses = three()
    for _ in range(30):
        for pulse in pulses:
            pulse.move()
        passes(clock, pulses, 1)
        assert not any(pulse.missing() for pulse in pulses)


@pytest.mark.parametrize("silent", [(), (1,)], ids=["its thread lives", "its machine is gone"])
def test_the_one_that_stands_still_is_named_by_those_that_wait(silent: tuple[int, ...]) -> None:
    clock, pulses = three()
    passes(clock, pulses, 1)
    for rank in (0, 2):
        pulses[rank].stand(may=True)
    passes(clock, pulses, 9, silent=silent)
    assert not any(pulse.missing() for pulse in pulses)
    passes(clock, pulses, 4, silent=silent)
    for rank in (0, 2):
        assert pulses[rank].missing().startswith("rank 1 (host 1) has not moved for")
    assert not pulses[1].missing()


def test_the_one_that_got_less_far_is_named_where_nobody_knows_that_it_waits() -> None:
    """All stand in an exchange of gradients but one, which never came to it."""
    clock, pulses = three()
    for rank in (0, 1):
        pulses[rank].move()
    passes(clock, pulses, 13)
    assert [pulse.missing()[:6] for pulse in pulses] == ["rank 2", "rank 2", ""]


def test_who_may_stand_still_is_not_named() -> None:
    """It reads its data, or has left."""
    clock, pulses = three()
    pulses[2].stand(may=True)
    for rank in (0, 1):
        pulses[rank].stand(may=True)
    passes(clock, pulses, 100)
    assert not any(pulse.missing() for pulse in pulses)
