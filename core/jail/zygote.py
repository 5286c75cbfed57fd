"""The process inside: enters the tier's namespaces, loads the standard library once, and forks one child a program.

The child gives up everything, closes the jail behind itself and only then runs the program; if any step fails, it ends. The zygote
itself never runs a program, holds no secret, and is the only one who can write to the grader's process.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import gc
import io
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.jail import harness, identity, interpreter, kernel, landlock, limits, namespaces, scratch, seccomp, wire
from core.jail.counting import Quota
from core.jail.watch import SPARE_PER_CALL, NotJailed, watch

REQUESTS, ANSWERS = 200, 201
"""Where the grader's pipes are moved to, out of the way of a program's descriptors."""
RESULT, CONTROL, SAFE = 3, 4, 100


@dataclass(frozen=True, slots=True)
class Cell:
    """What is the same for all programs of this zygote."""

    fresh_scratch: Callable[[], Path]
    rules: int | None
    user: int | None
    alone: bool
    """First of its own process namespace: all others in it can be ended at once."""
    memory_bytes: int
    seconds: float
    output_bytes: int


def main() -> None:
    """The program of the process that the grader starts: settings as JSON in its argument, jobs on standard input."""
    os.dup2(0, REQUESTS, inheritable=False)
    os.dup2(1, ANSWERS, inheritable=False)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    settings = json.loads(sys.argv[2])
    try:
        cell = enter(settings)
    except Exception as error:
        wire.send(
            ANSWERS, {"no": f"{type(error).__name__}: {error}" if not isinstance(error, OSError) else message(error)}
        )
        os._exit(1)
    os.dup2(1, 2)
    gc.collect()
    gc.freeze()
    folder = cell.fresh_scratch()
    wire.send(ANSWERS, {"ready": os.getpid()})
    while True:
        try:
            request, _ = wire.receive(REQUESTS)
        except wire.Silence:
            os._exit(0)
        answer(cell, folder, request)
        folder = cell.fresh_scratch()  # now, not when the next one comes: what a program left takes up room


def message(error: OSError) -> str:
    """An OSError as one line."""
    return error.strerror or f"{error}"


def enter(settings: dict[str, Any]) -> Cell:
    """Everything that needs to be done once."""
    kernel.machine()
    interpreter.load()
    mapped = limits.mapped_bytes()
    tier = settings["tier"]
    alone = tier == "namespaces"
    if alone:
        namespaces.leave()
        namespaces.rebuild()
        if child := os.fork():
            stand_by(child)
        kernel.control(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        os.dup2(os.open("/dev/null", os.O_RDWR), 0)
    else:
        kernel.control(kernel.PR_SET_CHILD_SUBREAPER, 1)
    user = identity.other()
    folder = namespaces.STAGE if alone else Path(settings["scratch"])
    if user is not None and not alone:
        os.chmod(folder, 0o711)
    return Cell(
        fresh_scratch=functools.partial(namespaces.fresh_scratch, user)
        if alone
        else functools.partial(scratch.fresh_scratch, folder, user),
        rules=None if tier == "bubblewrap" else landlock.ruleset(rules(folder)),
        user=user,
        alone=alone,
        memory_bytes=mapped + (settings["memory_mib"] << 20),
        seconds=settings["seconds"],
        output_bytes=settings["output_kib"] << 10,
    )


def rules(folder: Path) -> list[landlock.Rule]:
    """What a program may touch."""
    return [
        *((path, landlock.READ_DIR) for path in interpreter.libraries()),
        *((path, landlock.READ) for path in (*interpreter.texts(), interpreter.ZONES)),
        *((path, landlock.DEVICE) for path in interpreter.DEVICES),
        (folder, landlock.SCRATCH),
    ]


def stand_by(child: int) -> None:
    """The process that made the namespaces, until the one in them ends."""
    os.close(REQUESTS)
    os.close(ANSWERS)
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def answer(cell: Cell, folder: Path, request: dict[str, Any]) -> None:
    """One program: fork, watch, tell."""
    stdin = os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(stdin, "wb", closefd=False) as file:
        file.write(request["stdin"].encode("utf-8", "surrogatepass"))
    os.lseek(stdin, 0, os.SEEK_SET)
    fcntl.fcntl(stdin, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    outer, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pipes = {name: os.pipe() for name in ("stdout", "stderr", "result")}
    try:
        process = os.fork()
        if process == 0:
            inside(cell, folder, request, stdin, inner, [pipes[name][1] for name in ("stdout", "stderr", "result")])
        inner.close()
        for _, writer in pipes.values():
            os.close(writer)
        caps = dict.fromkeys(pipes, cell.output_bytes)
        caps["result"] += SPARE_PER_CALL * (len(request["calls"]) + 1)
        streams = {name: (reader, caps[name]) for name, (reader, _) in pipes.items()}
        report = watch(process, outer, streams, Quota(limits.THREADS, limits.FILES), cell.seconds, REQUESTS)
    except (NotJailed, OSError) as error:
        wire.send(ANSWERS, {"no": message(error) if isinstance(error, OSError) else str(error)})
        os._exit(1)
    finally:
        sweep(alone=cell.alone)
        outer.close()
        os.close(stdin)
        for reader, _ in pipes.values():
            os.close(reader)
    usage = report.usage
    wire.send(
        ANSWERS,
        {
            "status": report.status,
            "limit": report.limit,
            "seconds": report.seconds,
            "processor": usage.ru_utime + usage.ru_stime if usage else 0.0,
        },
        *(bytes(report.written[name][: caps[name]]) for name in ("stdout", "stderr", "result")),
    )


def sweep(*, alone: bool) -> None:
    """No program leaves a process behind: it can make none, and if it could, this would end it."""
    if alone:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                return
        except ChildProcessError:
            return


def inside(
    cell: Cell, folder: Path, request: dict[str, Any], stdin: int, control: socket.socket, writers: list[int]
) -> None:
    """The forked child. Never returns."""
    try:
        rules = place(stdin, control.fileno(), writers, cell.rules)
        with socket.socket(fileno=CONTROL) as line:
            try:
                close_in(cell, folder, rules, line)
            except Exception as error:
                line.send(b"no " + str(error).encode(errors="replace"))
                os._exit(1)
        make_ready(folder)
        harness.perform(request["program"], request["calls"], RESULT)
    finally:
        os._exit(1)


def place(stdin: int, control: int, writers: list[int], rules: int | None) -> int | None:
    """The program's descriptors where they belong, and no others but that of the rules."""
    wanted = [stdin, *writers, control]
    high = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, SAFE) for one in wanted]
    moved = None if rules is None else fcntl.fcntl(rules, fcntl.F_DUPFD_CLOEXEC, SAFE)
    for index, (source, target) in enumerate(zip(high, (0, 1, 2, RESULT, CONTROL), strict=True)):
        os.dup2(source, target, inheritable=index < 3)
    os.closerange(CONTROL + 1, max(high) + 1)
    kernel.call("close_range", max(high[-1], moved or 0) + 1, 0x7FFF_FFFF, 0)
    return moved


def close_in(cell: Cell, folder: Path, rules: int | None, line: socket.socket) -> None:
    """Closes the jail: from the last line of this on, nothing but what the program may do can be done."""
    parent = os.getppid()
    os.setsid()
    os.chdir(folder)
    limits.apply(memory_bytes=cell.memory_bytes, seconds=cell.seconds)
    identity.become(cell.user)
    kernel.control(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent or not identity.powerless():
        raise NotJailed("the zygote has ended, or capabilities are left")
    if rules is not None:
        landlock.restrict(rules)
        os.close(rules)
    try:
        listener = seccomp.install(seccomp.asked(), listen=True)
    except OSError:
        listener = -1  # before Linux 5.5: then nothing that would be counted is allowed
    if listener >= 0:
        socket.send_fds(line, [b"count"], [listener])
        os.close(listener)
    seccomp.install(seccomp.allowed(os.getpid(), counted=listener >= 0))
    line.send(b"in")


def make_ready(folder: Path) -> None:
    """An interpreter like a fresh one."""
    os.environ.clear()
    os.environ.update(HOME=str(folder), TMPDIR=str(folder), LANG="C.UTF-8", TZ="UTC")
    sys.path[:] = [entry for entry in sys.path if entry != sys.argv[1]]
    for name in [name for name in sys.modules if name.split(".")[0] == "core"]:
        del sys.modules[name]
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(
        io.FileIO(0, closefd=False), encoding="utf-8", errors="surrogateescape"
    )
    sys.stdout = sys.__stdout__ = stream(1)
    sys.stderr = sys.__stderr__ = stream(2)


def stream(descriptor: int) -> io.TextIOWrapper:
    """Text to a descriptor."""
    raw = io.BufferedWriter(io.FileIO(descriptor, "w", closefd=False))
    return io.TextIOWrapper(raw, encoding="utf-8", errors="surrogateescape", line_buffering=descriptor == 2)
