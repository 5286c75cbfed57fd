"""Ctrl-C, SIGTERM and SIGUSR1 end a verb cleanly; while a model trains they ask it to save and stop, and a second one ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Self

ASKED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))


class AskedToStop(KeyboardInterrupt):
    """A signal came where there is nothing to finish first; like Ctrl-C, it passes by whoever catches mere errors."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number


@contextmanager
def ending_cleanly() -> Generator[None, None, None]:
    """Inside, a signal is raised as AskedToStop, so that half-written files go and the exit code is ours."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a child that was forked: as if nothing had been said
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        raise AskedToStop(number)

    old = {one: signal.signal(one, end) for one in ASKED}
    try:
        yield
    finally:
        for one, handler in old.items():
            signal.signal(one, handler)


class StopSignals:
    """While entered, signals are noted instead of raised."""

    def __init__(self) -> None:
        self._signal: int | None = None
        self._old: dict[int, Any] = {}

    def received(self) -> int | None:
        """The signal that asked to stop, if any has."""
        return self._signal

    def ask(self, number: int) -> None:
        """As if this signal had come."""
        self._signal = number if self._signal is None else self._signal

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._old = {one: signal.signal(one, self._note) for one in ASKED}
        return self

    def __exit__(self, *exception: object) -> None:
        for one, handler in self._old.items():
            signal.signal(one, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None:
            os._exit(128 + number)
        self._signal = number
        name = signal.Signals(number).name
        with suppress(OSError):  # not print: the signal may have come in the middle of one
            os.write(2, f"\n{name}: stopping after this step; once more to stop at once\n".encode())
