"""A machine of its own: namespaces for users, mounts, processes, network, IPC, host name and cgroups, and a file system of little."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from core.jail import interpreter, kernel, limits
from core.jail.identity import NOBODY

NEW_MOUNTS, NEW_CGROUPS, NEW_NAME, NEW_IPC = 0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000
NEW_USERS, NEW_PROCESSES, NEW_NETWORK = 0x1000_0000, 0x2000_0000, 0x4000_0000
ALL = NEW_MOUNTS | NEW_CGROUPS | NEW_NAME | NEW_IPC | NEW_USERS | NEW_PROCESSES | NEW_NETWORK

NO_SUID, NO_DEVICES, NO_EXECUTION, REC, PRIVATE = 2, 4, 8, 0x4000, 0x4_0000
DETACH = 2
HERE, EMPTY_PATH, RECURSIVE, CLONE_TREE, CLOSE_ON_EXEC = -100, 0x1000, 0x8000, 1, os.O_CLOEXEC
MOVE_FROM_EMPTY_PATH = 4
READ_ONLY_ATTRIBUTE = 1

STAGE = Path("/tmp")
SCRATCH = Path("/tmp/job")


def map_users(process: int) -> None:
    """From outside, as root: root and nobody stay who they are."""
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{process}/{name}").write_text(f"0 0 1\n{NOBODY} {NOBODY} 1\n", encoding="ascii")


def map_self(user: int, group: int) -> None:
    """From inside, as anyone: this user is nobody."""
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{NOBODY} {user} 1\n", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{NOBODY} {group} 1\n", encoding="ascii")


def leave() -> None:
    """This process into new namespaces (its next child is the first process in that of processes)."""
    user, group, process = os.geteuid(), os.getegid(), os.getpid()
    mapper = 0
    ready, go = os.pipe()
    if user == 0:
        mapper = os.fork()
        if mapper == 0:
            try:
                os.close(go)
                os.read(ready, 1)
                map_users(process)
                os._exit(0)
            finally:
                os._exit(1)
    os.close(ready)
    try:
        kernel.call("unshare", ALL)
    finally:
        os.close(go)
        mapped = bool(mapper) and os.waitpid(mapper, 0)[1] == 0
    if not mapped:
        map_self(user, group)


def graft(source: Path, *, attributes: int) -> int:
    """A detached copy of a folder's or file's mounts, read-only."""
    made = kernel.call("open_tree", HERE, os.fsencode(source), CLONE_TREE | RECURSIVE | CLOSE_ON_EXEC)
    setting = (READ_ONLY_ATTRIBUTE | attributes).to_bytes(8, "little") + bytes(24)
    kernel.call("mount_setattr", made, b"", EMPTY_PATH | RECURSIVE, setting, len(setting))
    return made


def fresh_files(target: Path, mebibytes: int, entries: int, mode: str = "0755") -> None:
    """An empty file system in memory."""
    kernel.call(
        "mount", b"tmpfs", os.fsencode(target), b"tmpfs", NO_SUID | NO_DEVICES | NO_EXECUTION,
        f"size={mebibytes}m,nr_inodes={entries},mode={mode}".encode("ascii"),
    )  # fmt: skip


def rebuild() -> None:
    """A root with the standard library, four devices, time zones and nothing else; the old one is out of reach."""
    kernel.call("mount", None, b"/", None, REC | PRIVATE, None)
    grafts = [
        (path, graft(path, attributes=NO_SUID | NO_DEVICES | NO_EXECUTION))
        for path in (*interpreter.libraries(), interpreter.ZONES)
        if path.is_dir()
    ]
    grafts += [(path, graft(path, attributes=NO_SUID | NO_EXECUTION)) for path in interpreter.DEVICES if path.exists()]
    fresh_files(STAGE, 1, 4096)
    os.chdir(STAGE)
    for path, tree in grafts:
        target = path.relative_to("/")
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        kernel.call("move_mount", tree, b"", HERE, os.fsencode(target), MOVE_FROM_EMPTY_PATH)
        os.close(tree)
        for name in interpreter.INSTALLED:
            if (target / name).is_dir():
                fresh_files(target / name, 1, 2)
    SCRATCH.relative_to("/").mkdir(parents=True)
    kernel.call("pivot_root", b".", b".")
    kernel.call("umount2", b".", DETACH)
    os.chdir("/")
    setting = READ_ONLY_ATTRIBUTE.to_bytes(8, "little") + bytes(24)
    kernel.call("mount_setattr", HERE, b"/", 0, setting, len(setting))
    kernel.call("sethostname", b"jail", 4)


def fresh_scratch(user: int | None) -> Path:
    """An empty folder in memory for the next program; what the last one left is gone."""
    with contextlib.suppress(kernel.Kernel):  # the first has none before it
        kernel.call("umount2", os.fsencode(SCRATCH), DETACH)
    fresh_files(SCRATCH, limits.SCRATCH_MIB, 1024, mode="0700")
    if user is not None:
        os.chown(SCRATCH, user, user)
    return SCRATCH
