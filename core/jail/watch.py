"""Watches one program from outside it: collects what it writes, answers for its quota, and ends it when a limit is reached."""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import time
from dataclasses import dataclass, field

from core.jail.counting import Quota

CHUNK = 1 << 16
SETUP_SECONDS = 20.0
SPARE_PER_CALL = 2048
"""Bytes of framing and of an exception's message on top of the output's cap."""


class NotJailed(Exception):
    """The process did not get as far as the program."""


@dataclass(slots=True)
class Report:
    """What was seen."""

    status: int = 0
    limit: str = ""
    """`time`, `output`, or none reached."""
    seconds: float = 0.0
    usage: resource.struct_rusage | None = None
    written: dict[str, bytearray] = field(default_factory=dict[str, bytearray])


def watch(
    process: int, control: socket.socket, streams: dict[str, tuple[int, int]], quota: Quota, seconds: float, parent: int
) -> Report:
    """Until the process has ended. `streams` are descriptors with their caps; `parent` hangs up when nobody wants the answer."""
    listener = -1
    report = Report(written={name: bytearray() for name in streams})
    try:
        listener = jailed(control)
        begun = time.monotonic()
        collect(process, streams, quota, listener, begun + seconds, parent, report)
        report.seconds = time.monotonic() - begun
    finally:
        if listener >= 0:
            os.close(listener)
        end(process)
        _, report.status, report.usage = os.wait4(process, 0)
    return report


def jailed(control: socket.socket) -> int:
    """Waits until the process says that it is in jail; the descriptor on which the kernel asks for it, -1 if there is none."""
    control.settimeout(SETUP_SECONDS)
    listener = -1
    while True:
        try:
            said, descriptors, _, _ = socket.recv_fds(control, CHUNK, 1)
        except TimeoutError:
            said, descriptors = b"", []
        if descriptors:
            listener = descriptors[0]
        if said == b"in":
            return listener
        if not said or said.startswith(b"no "):
            if listener >= 0:
                os.close(listener)
            raise NotJailed(said[3:].decode(errors="replace") or "the jail's setup ended without a word")


def collect(
    process: int,
    streams: dict[str, tuple[int, int]],
    quota: Quota,
    listener: int,
    deadline: float,
    parent: int,
    report: Report,
) -> None:
    """Until all streams are closed (the process has ended, or closed them: then until it ends), or a limit is reached."""
    ended = os.pidfd_open(process)
    poll = select.poll()
    names = {descriptor: name for name, (descriptor, _) in streams.items()}
    for descriptor in (*names, ended):
        poll.register(descriptor, select.POLLIN)
    poll.register(parent, 0)  # a hang-up is always told
    if listener >= 0:
        poll.register(listener, select.POLLIN)
    try:
        alive = True
        while alive or names:
            left = deadline - time.monotonic()
            if left <= 0 and alive:
                report.limit = "time"
                return
            events = poll.poll(max(0.0, left) * 1000 if alive else 0)
            if not events and not alive:
                return  # nothing left to read, and none alive to write
            for descriptor, event in events:
                if descriptor in names:
                    name = names[descriptor]
                    part = os.read(descriptor, CHUNK)
                    report.written[name] += part
                    if len(report.written[name]) > streams[name][1]:
                        report.limit = "output"
                        return
                    if not part:
                        poll.unregister(descriptor)
                        del names[descriptor]
                elif descriptor == ended:
                    alive = False
                    poll.unregister(ended)
                elif descriptor == parent:
                    end(process)
                    os._exit(0)
                elif event & select.POLLIN:
                    quota.answer(listener)
                else:
                    poll.unregister(listener)
    finally:
        os.close(ended)


def end(process: int) -> None:
    """It may have ended by itself."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return
