"""One zygote as the grader's process sees it: started, asked, believed in nothing that a program could have written, ended."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import weakref
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

from core.jail import plain, wire
from core.jail.bubble import options
from core.jail.job import Job, Outcome, Value, Why
from core.jail.scratch import empty

Tier = Literal["namespaces", "landlock", "bubblewrap"]
TIERS: tuple[Tier, ...] = ("namespaces", "landlock", "bubblewrap")
ROOT = Path(__file__).resolve().parents[2]
START = "import sys; sys.path.insert(0, sys.argv[1]); from core.jail.zygote import main; main()"
FLAGS = ("-B", "-P", "-s", "-S", "-X", "utf8", "-W", "ignore")
ENVIRONMENT = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": "/nonexistent"}
"""All that a zygote sees of the environment; the seed makes the order of sets the same in every run."""
START_SECONDS, SPARE_SECONDS = 60.0, 30.0
LONGEST_ERROR = 2000


@dataclass(frozen=True, slots=True)
class Limits:
    """Of every program."""

    memory_mib: int = 512
    seconds: float = 5.0
    output_kib: int = 256


class Dead(Exception):
    """The zygote cannot be used; why."""


class Worker:
    """One program at a time."""

    def __init__(self, tier: Tier, limits: Limits) -> None:
        self.limits = limits
        if not sys.executable:
            raise Dead("there is no interpreter to start")
        wrapper = bubblewrap() if tier == "bubblewrap" else None
        folder = tempfile.mkdtemp(prefix="transduce-jail-")
        settings = json.dumps({"tier": tier, "scratch": folder, **asdict(limits)})
        start = [sys.executable, *FLAGS, "-c", START, str(ROOT), settings]
        try:
            self.process = subprocess.Popen(
                start if wrapper is None else [wrapper, *options(Path(folder), ROOT), *start],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=ENVIRONMENT,
                cwd="/",
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            remove(folder)
            raise Dead(f"{error.filename or sys.executable}: {error.strerror}") from error
        self.end = weakref.finalize(self, finish, self.process, folder, os.getpid())
        try:
            said, _ = wire.receive(self.answers(), START_SECONDS)
        except (wire.Silence, ValueError) as error:
            self.process.kill()
            last = (self.process.stderr.read() if self.process.stderr else b"").decode(errors="replace").strip()
            self.end()
            raise Dead(last.splitlines()[-1] if last else str(error)) from error
        if "no" in said:
            self.end()
            raise Dead(str(said["no"]))

    def answers(self) -> int:
        """The descriptor of its answers."""
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def run(self, job: Job) -> Outcome:
        """What the program did; Dead if the zygote did not see it to its end."""
        assert self.process.stdin is not None
        calls = [call.expression for call in job.calls]
        try:
            wire.send(self.process.stdin.fileno(), {"program": job.program, "calls": calls, "stdin": job.stdin})
            said, blobs = wire.receive(self.answers(), self.limits.seconds + SPARE_SECONDS)
        except (wire.Silence, OSError) as error:
            self.end()
            raise Dead(f"the jail's zygote: {error}") from error
        if "no" in said:
            self.end()
            raise Dead(str(said["no"]))
        stdout, stderr, result = blobs
        return judged(said, result, len(calls), stdout=shown(stdout), stderr=shown(stderr))


def finish(process: subprocess.Popen[bytes], folder: str, owner: int) -> None:
    """Ends a zygote: it does so itself when its requests end, with all that is in its namespaces; then by force."""
    if os.getpid() != owner:
        return  # a fork of the grader's process ends, not that itself
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
    remove(folder)


def remove(folder: str) -> None:
    """The scratch folder, whatever a program made in it; what cannot be removed stays."""
    with contextlib.suppress(OSError):
        empty(Path(folder))
        os.rmdir(folder)


def shown(written: bytes) -> str:
    """Text, whatever it was."""
    return written.decode("utf-8", errors="replace")


def one_line(said: object) -> str:
    """What a program says of its errors, fit for a terminal."""
    return "".join(char if char.isprintable() else " " for char in str(said)[:LONGEST_ERROR])


def judged(said: dict[str, Any], result: bytes, calls: int, *, stdout: str, stderr: str) -> Outcome:
    """From what the zygote saw (how the process ended) and what the program said (values, errors)."""
    values, last = read(result, calls)
    status, limit = int(said["status"]), str(said["limit"])
    ended = os.waitstatus_to_exitcode(status)
    why: Why
    error = str(last.get("error", last.get("memory", "")))
    if limit == "time" or ended == -signal.SIGXCPU:
        why, error = "timeout", f"stopped after {said['seconds']:.1f} s, {said['processor']:.1f} s of the processor"
    elif limit == "output":
        why, error = "output", "wrote more than it may"
    elif ended < 0:
        why, error = "killed", f"{signal.Signals(-ended).name}: {stderr.strip()[-LONGEST_ERROR:]}".rstrip(": ")
    elif "memory" in last:
        why = "memory"
    elif "error" in last:
        why = "error"
    elif "end" in last and len(values) == calls:
        why = "done"
    else:
        why, error = "error", f"left with code {ended} before its end"
    return Outcome(why, tuple(values), stdout, one_line(error), float(said["seconds"]))


def read(result: bytes, calls: int) -> tuple[list[Value], dict[str, Any]]:
    """Values in order, and the last line; from the first line on that the jail would not have written, nothing."""
    values: list[Value] = []
    for line in result.splitlines():
        try:
            said = json.loads(line)
            if not isinstance(said, dict):
                break
            said = cast("dict[str, Any]", said)
            if "value" not in said:
                return values, said
            ok, node = said["value"]
            if len(values) == calls or not isinstance(ok, bool):
                break
            values.append(Value(ok, plain.text(node) if ok else one_line(node)))
        except (ValueError, TypeError, RecursionError, OverflowError):
            break
    return values, {}


def bubblewrap() -> str:
    """The command of the last tier."""
    found = shutil.which("bwrap")
    if found is None:
        raise Dead("bwrap is not installed")
    return found
