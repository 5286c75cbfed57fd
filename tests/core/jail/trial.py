"""Runs the attacks on one tier and looks at the machine outside: what was planted, who was reached, what is left running.

The attacks are in attacks/, a file a class, with prelude.txt before each. What they may aim at is planted here and named to them in
capitals: SECRET (a file), LINK (a link whose target is the secret), WORLD (a folder anyone may write to), PORT, PORT6, UDP, UNIX,
ABSTRACT (listening sockets), GRADER and BYSTANDER (processes). Signals to all go by SIGURG, which does no harm where a jail has a hole.
Each prints `tried` before it attacks, so that a typing error is no containment, and `BREACH` where a call that must fail does not.

A script of its own, so that it can be started as another user by an interpreter without pytest:
`python trial.py ROOT TIER quick|full` prints JSON: the class of each breach and what was seen, none if the jail holds;
`python trial.py ROOT bare` attacks without a jail, to show that the trial would see a breach.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, sys.argv[1])

from core.jail import Call, Job, NoJail, Outcome, canonical, jail, passed

HERE = Path(__file__).parent
PRELUDE = (HERE / "prelude.txt").read_text(encoding="utf-8")
ATTACKS = {
    path.stem: [PRELUDE + program for program in path.read_text(encoding="utf-8").split("\n---\n")]
    for path in sorted((HERE / "attacks").glob("*.txt"))
}
QUICK = {
    "fork": (1, 8),
    "memory": (0, 6),
    "time": (2,),
    "secrets": (0, 2, 3, 8, 12, 14, 17),
    "writes": (0, 4, 6, 9, 11, 17, 29, 30),
    "network": (0, 2, 3, 4, 7),
    "escape": (0, 1, 2, 5, 7, 9, 12),
    "i386": (0, 1),
    "output": (0, 1, 3),
    "huge": (0, 1, 2),
    "forged": (0, 1, 4, 6, 9, 12),
    "deletions": (13,),
    "daemons": (16,),
    "environment": (4,),
    "descriptors": (13,),
    "namespaces": (3,),
    "kernel": (2,),
    "privileges": (17,),
    "signals": (7,),
    "limits": (2,),
    "disk": (1,),
    "tamper": (5, 20),
}
"""Of each class some, for every run of the tests."""
BITING = {
    "secrets": (0, 1, 2, 3, 4, 8, 10, 16, 22, 24),
    "writes": (0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 14, 15, 16, 17, 25),
    "network": (0, 2, 3, 4, 14),
    "escape": (6,),
}
"""What may be tried without a jail, since it aims at nothing but what is planted: there the trial must see a breach."""
ASKED = ("forged", "huge", "tamper")
"""Classes that are asked for an answer; it must not be taken for the right one."""
SECONDS, MEMORY_MIB, OUTPUT_KIB, WORKERS = 0.7, 256, 64, 2
MOST_THREADS = 130
AGAIN = 12
"""Other processes may keep the processor from a program, or from its watcher, for longer than a program has. Limits are of wall
time, so what was late is tried again, after a pause that grows: a load passes, a jail that is slow to act does not."""
PAUSE = 0.2
BYSTANDER = "import signal, sys, time\nsignal.signal(signal.SIGURG, lambda *_: sys.exit(9))\nprint('up', flush=True)\ntime.sleep(600)"
PR_SET_CHILD_SUBREAPER = 36


class World:
    """What an attack would change, read or reach."""

    def __init__(self, folder: Path) -> None:
        self.canary = f"CANARY-{secrets.token_hex(16)}"
        self.folder = folder / "world"
        self.folder.mkdir()
        (self.folder / "file").write_text("precious", encoding="ascii")
        (self.folder / "empty").mkdir()
        self.secret = folder / "secret"
        self.secret.write_text(self.canary, encoding="ascii")
        self.link = folder / "link"
        self.link.symlink_to(f"/nowhere/{self.canary}")
        (folder / ".ssh").mkdir()
        (folder / ".ssh" / "id_rsa").write_text(self.canary, encoding="ascii")
        for path in (folder, *folder.rglob("*")):
            if not path.is_symlink():  # whoever the program runs as, only the jail stands between
                path.chmod(0o777 if path.is_dir() else 0o666)
        os.environ.update(HOME=str(folder), TOKEN=self.canary)
        os.set_inheritable(os.open(self.secret, os.O_RDONLY), True)
        self.bystander = subprocess.Popen([sys.executable, "-c", BYSTANDER, self.canary], stdout=subprocess.PIPE)
        assert self.bystander.stdout is not None
        self.bystander.stdout.readline()
        self.signals = 0
        signal.signal(signal.SIGURG, self.hit)
        self.unix, self.abstract = str(folder / "socket"), f"\0jail-{secrets.token_hex(8)}"
        self.listeners = [
            listening(socket.AF_INET, ("127.0.0.1", 0)),
            listening(socket.AF_INET6, ("::1", 0)) if socket.has_ipv6 else None,
            listening(socket.AF_INET, ("127.0.0.1", 0), socket.SOCK_DGRAM),
            listening(socket.AF_UNIX, self.unix),
            listening(socket.AF_UNIX, self.abstract),
        ]
        os.chmod(self.unix, 0o777)
        self.before = self.seen()

    def hit(self, *_: object) -> None:
        self.signals += 1

    def names(self) -> str:
        """The names that attacks use, as the first lines of a program."""
        ports = [0 if one is None or one.family == socket.AF_UNIX else one.getsockname()[1] for one in self.listeners]
        given = {
            "SECRET": str(self.secret), "LINK": str(self.link), "WORLD": str(self.folder), "PORT": ports[0],
            "PORT6": ports[1], "UDP": ports[2], "UNIX": self.unix, "ABSTRACT": self.abstract, "GRADER": os.getpid(),
            "BYSTANDER": self.bystander.pid,
        }  # fmt: skip
        return "\n".join(f"{name} = {value!r}" for name, value in given.items())

    def seen(self) -> str:
        """A digest of all that lies there: names, kinds, modes, owners, times, contents."""
        digest = hashlib.sha256()
        for path in sorted(self.secret.parent.rglob("*")):
            told = path.lstat()
            inside = path.read_bytes() if path.is_file() else b""
            digest.update(
                repr((str(path), told.st_mode, told.st_uid, told.st_nlink, told.st_mtime_ns, inside)).encode()
            )
        elsewhere = [Path(place) / "transduce-jail-attack" for place in ("/tmp", "/var/tmp", "/dev/shm", "/root")]
        digest.update(repr([os.path.lexists(path) for path in elsewhere]).encode())
        return digest.hexdigest()

    def reached(self) -> int:
        """How many connections and datagrams have come in."""
        count = 0
        for one in self.listeners:
            try:
                if one is not None:
                    one.recv(100) if one.type == socket.SOCK_DGRAM else one.accept()
                    count += 1
            except BlockingIOError:
                pass
        return count


def listening(family: int, address: object, kind: int = socket.SOCK_STREAM) -> socket.socket | None:
    """A socket that waits, None where there is no such family."""
    try:
        one = socket.socket(family, kind)
        one.bind(address)  # pyright: ignore[reportArgumentType]
    except OSError:
        return None
    one.setblocking(False)
    if kind == socket.SOCK_STREAM:
        one.listen()
    return one


class Census(threading.Thread):
    """Counts the processes and threads below this one, and the memory of the largest, while attacks run."""

    def __init__(self, spared: set[int]) -> None:
        super().__init__(daemon=True)
        self.spared = spared
        self.processes = self.threads = self.memory_kib = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.02):
            below = descendants(os.getpid()) - self.spared
            self.processes = max(self.processes, len(below))
            for process in below:
                try:
                    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace").splitlines()
                except OSError:
                    continue
                told = dict(line.split(":", 1) for line in lines if ":" in line)
                self.threads = max(self.threads, int(told.get("Threads", "0")))
                self.memory_kib = max(self.memory_kib, int(told.get("VmHWM", "0 kB").split()[0]))


def descendants(process: int) -> set[int]:
    """All processes below one, by the kernel's own lists."""
    found: set[int] = set()
    try:
        tasks = os.listdir(f"/proc/{process}/task")
    except OSError:
        return found
    for task in tasks:
        try:
            children = Path(f"/proc/{process}/task/{task}/children").read_text(encoding="ascii").split()
        except OSError:
            continue
        for child in map(int, children):
            found |= {child} | descendants(child)
    return found


def at_rest(cell: Any, spared: set[int]) -> int:
    """Processes of a jail that has nothing to do, once all its workers have begun: none is free while others sleep."""
    cell.run_many([Job("import time\ntime.sleep(0.2)")] * (2 * WORKERS))
    most = 0
    for _ in range(20):
        most = max(most, len(descendants(os.getpid()) - spared))
        time.sleep(0.02)
    return most


def reap(process: int) -> None:
    """What has ended, and whose parent ended before it."""
    try:
        os.waitpid(process, os.WNOHANG)
    except ChildProcessError:
        return


def said(outcome: Outcome) -> str:
    """All that left the jail."""
    return "\n".join((outcome.stdout, outcome.error, *(value.text for value in outcome.values)))


def judged(kind: str, outcome: Outcome, canary: str) -> tuple[list[str], list[str]]:
    """What one outcome shows of a breach, and what may be a busy machine's doing: that is tried again."""
    faults: list[str] = []
    late: list[str] = []
    if any(form in said(outcome) for form in (canary, repr(canary.encode()), canary[7:])):
        faults.append("the secret left the jail")
    if any(line.startswith("BREACH") for line in outcome.stdout.splitlines()):
        faults.append(f"a call that must fail did not: {outcome.stdout[:400]}")
    if "tried" not in outcome.stdout:
        late.append(f"the attack was not made: {outcome.why} {outcome.error}")
    if "NameError" in outcome.error or "SyntaxError" in outcome.error or "TypeError" in outcome.error:
        faults.append(f"the attack is mistaken: {outcome.error}")
    if outcome.seconds > SECONDS + 0.25:
        late.append(f"took {outcome.seconds:.2f} s")
    if len(outcome.stdout) > OUTPUT_KIB << 10:
        faults.append(f"{len(outcome.stdout)} characters came out")
    if any(not char.isprintable() for char in outcome.error):
        faults.append("control characters in the error")
    if kind == "time" and outcome.why not in (
        "timeout",
        "killed",
    ):  # at the hard limit the kernel kills, without a word
        faults.append(f"was not stopped: {outcome.why} {outcome.error}")
    if kind == "i386" and os.uname().machine == "x86_64" and outcome.why != "killed":
        late.append(f"a call of another instruction set: {outcome.why} {outcome.stdout}")
    if passed(outcome, [canonical(canary)]):
        faults.append("passed")
    return faults, late


def trial(tier: str, extent: str) -> dict[str, object]:
    """All classes; breaches by class."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    breaches: dict[str, list[str]] = {}
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        spared = {world.bystander.pid}
        with jail(MEMORY_MIB, SECONDS, OUTPUT_KIB, WORKERS, tiers=[tier]) as cell:  # pyright: ignore[reportArgumentType]
            resting = at_rest(cell, spared)
            for kind, programs in ATTACKS.items():
                chosen = [programs[index] for index in QUICK[kind]] if extent == "quick" else programs
                count += len(chosen)
                calls = (Call("answer()"),) if kind in ASKED else ()
                census = Census(spared)
                census.start()
                outcomes = cell.run_many([Job(f"{world.names()}\n{program}", calls) for program in chosen])
                census.over.set()
                census.join()
                faults: list[str] = []
                for program, outcome in zip(chosen, outcomes, strict=True):
                    found, late = judged(kind, outcome, world.canary)
                    for number in range(AGAIN if late else 0):
                        time.sleep(PAUSE * number)
                        again = cell.run_many([Job(f"{world.names()}\n{program}", calls)])[0]
                        found, late = (
                            [*found, *judged(kind, again, world.canary)[0]],
                            judged(kind, again, world.canary)[1],
                        )
                        if not late:
                            break
                    faults += [f"{fault}: {program.removeprefix(PRELUDE)!r}" for fault in (*found, *late)]
                if (now := world.seen()) != world.before:
                    faults.append("something outside was changed")
                    world.before = now
                if world.reached():
                    faults.append("a socket outside was reached")
                if world.signals or world.bystander.poll() is not None:
                    faults.append("a process outside got a signal")
                if census.processes > resting + WORKERS:
                    faults.append(f"{census.processes} processes, {resting} at rest")
                if census.threads > MOST_THREADS:
                    faults.append(f"{census.threads} threads")
                if census.memory_kib > (MEMORY_MIB + 32) << 10:
                    faults.append(f"{census.memory_kib} KiB of memory")
                if faults:
                    breaches[kind] = faults
            left = cell.run_many([Job("print(1)")])[0]
            if left.why != "done":
                breaches["after"] = [f"the jail no longer works: {left}"]
        end = time.monotonic() + 10
        while (survivors := descendants(os.getpid()) - spared) and time.monotonic() < end:
            for one in survivors:
                reap(one)
            time.sleep(0.05)
        if survivors:
            breaches["survivors"] = [str(survivors)]
        world.bystander.kill()
        world.bystander.wait()
    return {"tier": tier, "attacks": count, "user": os.geteuid(), "breaches": breaches}


def bare() -> dict[str, object]:
    """Without a jail, each in a world of its own: the attacks of which nothing was seen."""
    unseen: list[str] = []
    for kind, indexes in BITING.items():
        for index in indexes:
            with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as own:
                world = World(Path(folder))
                program = f"{world.names()}\n{ATTACKS[kind][index]}"
                ended = subprocess.run(
                    [sys.executable, "-c", program], cwd=own, capture_output=True, text=True, timeout=60, check=False
                )
                told = world.canary in ended.stdout
                struck = world.bystander.poll() is not None
                if not (told or struck or world.reached() or world.seen() != world.before):
                    unseen.append(f"{kind} {index}: {ended.stdout} {ended.stderr}")
                world.bystander.kill()
                world.bystander.wait()
    return {"unseen": unseen, "attacks": sum(map(len, BITING.values()))}


if __name__ == "__main__":
    try:
        print(json.dumps(bare() if sys.argv[2] == "bare" else trial(sys.argv[2], sys.argv[3])))
    except NoJail as refusal:
        print(json.dumps({"refused": str(refusal)}))
