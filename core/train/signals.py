"""Ctrl-C, SIGTERM and SIGUSR1 ask the run to save and stop; a second one ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from types import FrameType
from typing import Any, Self

ASKED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))


class StopSignals:
    """While entered, signals are noted instead of raised."""

    def __init__(self) -> None:
        self._signal: int | None = None
        self._old: dict[int, Any] = {}

    def received(self) -> int | None:
        """The signal that asked to stop, if any has."""
        return self._signal

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
