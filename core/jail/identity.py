"""Who a program runs as: nobody where the interpreter can be read by nobody, else the user who asked; without any capability."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct

from core.jail import kernel

NOBODY = 65534
CAPABILITIES = 64
AMBIENT_CLEAR_ALL = 4
CAPABILITY_VERSION = 0x2008_0522


def readable_as(user: int) -> bool:
    """Whether this user could read the interpreter's library: tried in a child, since modes alone do not say."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            with open(os.__file__, "rb") as file:
                file.read(1)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return status == 0


def other() -> int | None:
    """The user to become; None: stay. Only root can become another."""
    return NOBODY if os.geteuid() == 0 and readable_as(NOBODY) else None


def become(user: int | None) -> None:
    """Give up what this process may do beyond its user's rights, and its user if there is another; for good."""
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
    for capability in range(CAPABILITIES):
        try:
            kernel.control(kernel.PR_CAPBSET_DROP, capability)
        except kernel.Kernel:
            break  # past the last one, or no right to: then there is nothing to drop
    with contextlib.suppress(kernel.Kernel):  # before Linux 4.3 there are none to clear
        kernel.call("prctl", kernel.PR_CAP_AMBIENT, AMBIENT_CLEAR_ALL, 0, 0, 0)
    if user is not None:
        os.setresuid(user, user, user)
    kernel.call("capset", struct.pack("=Ii", CAPABILITY_VERSION, 0), struct.pack("=6I", 0, 0, 0, 0, 0, 0))
    kernel.control(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.control(kernel.PR_SET_DUMPABLE, 0)  # no memory in core files, and nobody of this user attaches


def powerless() -> bool:
    """Whether no capability is left, as the kernel says."""
    held = bytearray(24)
    buffer = (ctypes.c_char * len(held)).from_buffer(held)
    kernel.call("capget", struct.pack("=Ii", CAPABILITY_VERSION, 0), buffer)
    effective, permitted, _, effective_high, permitted_high, _ = struct.unpack("=6I", held)
    return not any((effective, permitted, effective_high, permitted_high))
